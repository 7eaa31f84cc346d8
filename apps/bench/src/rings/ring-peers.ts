/** The programs that are measured: ours, plain C, and the Rust virtio-queue crate; each prints chains, seconds of CPU time, and calls. */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onCpu } from '../cpu.ts';
import type { RunResult } from '../driver/runner.ts';
import { BenchError } from '../errors.ts';
import { NODE_FLAGS } from '../node-flags.ts';
import { say } from '../progress.ts';
import type { RingWorkload } from './workloads.ts';

export const OURS = 'oriel';
export const PLAIN_C = 'c';
export const RUST = 'rust';

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const execute = promisify(execFile);

/** One of them. */
export interface RingPeer {
  readonly name: string;
  readonly command: readonly string[];
  readonly formats: readonly RingWorkload['format'][];
}

/** Ours, and the peers that can be built here; of the others a line says why not. @param dir - where programs go */
export function buildRingPeers(dir: string): RingPeer[] {
  const peers: RingPeer[] = [
    { name: OURS, command: [process.execPath, ...NODE_FLAGS, here('./ours.ts')], formats: ['split', 'packed'] },
  ];
  const c = join(dir, 'rings-c');
  if (built(PLAIN_C, ['cc', '-O2', '-o', c, here('./rings.c')])) {
    peers.push({ name: PLAIN_C, command: [c], formats: ['split', 'packed'] });
  }
  const target = join(dir, 'rust');
  const manifest = here('./rust/Cargo.toml');
  // The crate knows no packed rings.
  const cargo = ['cargo', 'build', '--quiet', '--release', '--locked', '--manifest-path', manifest];
  if (built(RUST, [...cargo, '--target-dir', target])) {
    peers.push({ name: RUST, command: [join(target, 'release', 'rings-rust')], formats: ['split'] });
  }
  return peers;
}

/** Runs one once. @throws BenchError ERR_BENCH_PEER when it fails */
export async function runRing(
  peer: RingPeer,
  { format, work }: RingWorkload,
  batch: number,
  seconds: number,
  cpu: number,
): Promise<RunResult> {
  const [file, ...args] = onCpu(cpu, [...peer.command, format, work, String(batch), String(seconds)]);
  try {
    return parseRing((await execute(file!, args)).stdout);
  } catch (cause) {
    throw new BenchError('ERR_BENCH_PEER', `${peer.name} ${format} ${work}: ${(cause as Error).message}`, { cause });
  }
}

/** What a run printed: chains, seconds, calls. @throws RangeError when that is not three numbers */
export function parseRing(line: string): RunResult {
  const numbers = line.trim().split(' ').map(Number);
  if (numbers.length !== 3 || !numbers.every(Number.isFinite)) throw new RangeError(`not a run: ${line}`);
  const [ops = 0, seconds = 0] = numbers;
  const us = (seconds / ops) * 1e6;
  return { ops, seconds, p50Us: us, p99Us: us, backendCpuUs: Number.NaN, driverCpuUs: Number.NaN, kicks: 0, sleeps: 0 };
}

function built(name: string, [command, ...args]: readonly string[]): boolean {
  try {
    // Without a network, what is not there yet is missed at once.
    const env = { ...process.env, CARGO_NET_RETRY: '0' };
    execFileSync(command!, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    return true;
  } catch (error) {
    say(`no ${name} to compare rings with: ${(error as Error).message.trim()}`);
    return false;
  }
}
