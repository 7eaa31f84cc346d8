/** The back-ends that are compared: started, found, and ended again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type GuestEnvironment, HostProcess } from '@oriel/test-vm-guest';
import { onCpu } from './cpu.ts';
import { BenchError } from './errors.ts';
import { NODE_FLAGS } from './node-flags.ts';

/** A back-end that listens. */
export interface Peer {
  /** Name of its column. */
  readonly name: string;
  readonly version: string;
  readonly socketPath: string;
  /** 0: whoever listens there. */
  readonly pid: number;
  /** Rejects with ERR_BENCH_PEER when it ends before it is stopped; never resolves. */
  readonly lost: Promise<never>;
  /** Ends what was started. */
  stop(): Promise<void>;
}

/** What a back-end of file systems is started with. */
export interface PeerOptions {
  readonly cpu: number;
  readonly shareDir: string;
  /** Where its socket is made. */
  readonly socketPath: string;
}

/** What our own back-ends are started with. */
export interface OrielOptions extends Omit<PeerOptions, 'shareDir'> {
  /** As `oriel --spin-us`; undefined: its default. */
  readonly spinUs: number | undefined;
  /** More flags of Node, such as `--cpu-prof`. */
  readonly flags?: readonly string[];
}

const BACKEND = fileURLToPath(new URL('../../backend/', import.meta.url));
/** A machine with other work takes its time. */
const START_MS = 60_000;
const LISTENING = /listening|Waiting for vhost-user socket connection/;

/**
 * Starts `oriel fs` from the sources of this checkout, without a window.
 * @param requestQueues - how many it has
 * @throws GuestError with its words
 */
export function startOrielFs(options: OrielOptions & PeerOptions, requestQueues = 1): Promise<Peer> {
  // As the virtiofsd beside it.
  const open = ['--sandbox', 'none'];
  const share = ['--shared-dir', options.shareDir, '--tag', 'bench', '--window', '0', '--cache', 'auto', ...open];
  return startOriel('fs', [...share, '--num-request-queues', String(requestQueues)], options);
}

/** Starts `oriel gpu` from the sources of this checkout. @throws GuestError with its words */
export function startOrielGpu(options: OrielOptions): Promise<Peer> {
  return startOriel('gpu', ['--outputs', '1920x1080'], options);
}

/** Starts the virtiofsd of the guest's tree, without a sandbox. @throws GuestError with its words */
export async function startVirtiofsd(environment: GuestEnvironment, options: PeerOptions): Promise<Peer> {
  const { cpu, shareDir, socketPath } = options;
  const { command, env, version } = environment.virtiofsd;
  const args = [`--socket-path=${socketPath}`, `--shared-dir=${shareDir}`, '--sandbox=none', '--cache=auto'];
  const daemon = HostProcess.start(onCpu(cpu, [...command, ...args]), { env, name: 'virtiofsd' });
  return started('virtiofsd', version, socketPath, daemon);
}

/** A server that listens already, and serves the folder that the bench uses. */
export function attach(socketPath: string): Peer {
  const lost = new Promise<never>(() => {});
  return { name: 'peer', version: '', socketPath, pid: 0, lost, stop: async () => {} };
}

async function startOriel(device: string, args: readonly string[], options: OrielOptions): Promise<Peer> {
  const { cpu, socketPath, spinUs, flags = [] } = options;
  const command = [
    ...[process.execPath, ...NODE_FLAGS, ...flags, join(BACKEND, 'src/main.ts'), device],
    ...['--socket-path', socketPath, ...args],
    ...(spinUs === undefined ? [] : ['--spin-us', String(spinUs)]),
  ];
  const { version } = JSON.parse(readFileSync(join(BACKEND, 'package.json'), 'utf8')) as { version: string };
  const program = HostProcess.start(onCpu(cpu, command), { name: `oriel ${device}` });
  return started('oriel', version, socketPath, program);
}

async function started(name: string, version: string, socketPath: string, program: HostProcess): Promise<Peer> {
  let stopped = false;
  const stop = async () => {
    stopped = true;
    await program.stop();
  };
  const lost = program.exited.then(({ code, signal }) => {
    if (stopped) return new Promise<never>(() => {});
    throw new BenchError('ERR_BENCH_PEER', `${name} ended (${signal ?? code}): ${program.stderr.trim()}`);
  });
  // Whoever waits for an answer looks at it; until then it is nobody's.
  lost.catch(() => {});
  try {
    await program.waitOutput(LISTENING, START_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, version, socketPath, pid: program.pid, lost, stop };
}
