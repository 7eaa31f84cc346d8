/** Reads in a stock guest: one file on three shares of one VM, served by virtiofsd and by `oriel fs` with a window and without. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  bootGuest,
  buildInitramfs,
  compileProbe,
  type Guest,
  guestUnsupported,
  type HostProcess,
  orielDevice,
  setupGuest,
  startOrielFs,
  startVirtiofsd,
  vhostUserFs,
} from '@oriel/test-vm-guest';
import { BenchError } from '../errors.ts';
import type { BenchOptions } from '../options.ts';
import { say } from '../progress.ts';
import { makeReadFile, READ_FILE, TMPFS } from '../share.ts';
import { type GuestCase, type GuestReads, type GuestReport, summarizeGuest } from './guest-report.ts';
import { GUEST_WORKLOADS, type GuestWorkload, wantedSum } from './workloads.ts';

/** The program that reads. */
export const PROBE = join(import.meta.dirname, 'reads.c');
const MEMORY_MIB = 1024;
const RUN_TIMEOUT_MS = 120_000;

/** A share as the guest has it. */
interface Share {
  /** Name of its row, and its tag. */
  readonly name: string;
  readonly mountFlags: string;
  readonly qemuArgs: readonly string[];
}

/**
 * Measures.
 * @returns null, with a word of why, where no guest can run
 * @throws BenchError for wrong bytes; GuestError where a back-end or the VM does not start
 */
export async function measureGuest(options: BenchOptions): Promise<GuestReport | null> {
  const missing = guestUnsupported();
  if (missing !== undefined) {
    say(`no reads in a guest: ${missing}`);
    return null;
  }
  const environment = await setupGuest({ log: say });
  await using resources = new AsyncDisposableStack();
  const dir = mkdtempSync(join(TMPFS, 'oriel-bench-guest-'));
  resources.defer(() => rmSync(dir, { recursive: true, force: true }));
  const sharedDir = join(dir, 'share');
  mkdirSync(sharedDir);
  makeReadFile(sharedDir);
  const socketOf = (name: string) => join(dir, `${name}.sock`);
  const keep = (backend: HostProcess) => resources.defer(() => backend.stop().then(() => {}));
  keep(await startVirtiofsd(environment, { socketPath: socketOf('virtiofsd'), sharedDir }));
  const spin = options.spinUs === undefined ? [] : [`--spin-us=${options.spinUs}`];
  const args = ['--cache=auto', ...spin];
  for (const [tag, window] of [
    ['oriel', '0'],
    ['oriel-dax', '256M'],
  ] as const) {
    keep(await startOrielFs({ socketPath: socketOf(tag), sharedDir, tag, window, args }));
  }
  const shares: Share[] = [
    ...['virtiofsd', 'oriel'].map((name) => ({
      name,
      mountFlags: '',
      qemuArgs: vhostUserFs(socketOf(name), name, name),
    })),
    { name: 'oriel-dax', mountFlags: '-o dax=always', qemuArgs: orielDevice(socketOf('oriel-dax'), 'dax') },
  ];
  const probe = await compileProbe(environment, PROBE);
  const initramfs = await buildInitramfs(environment, { files: { '/bin/reads': probe.path } });
  const qemuArgs = shares.flatMap((share) => share.qemuArgs);
  const guest = resources.use(await bootGuest({ environment, memoryMiB: MEMORY_MIB, initramfs, qemuArgs }));
  for (const { name, mountFlags } of shares) {
    await guest.ok(`mkdir /${name} && mount -t virtiofs ${mountFlags} ${name} /${name}`);
  }
  const sides = shares.map(({ name }) => name);
  const cases: GuestCase[] = [];
  for (const workload of options.guestWorkloads) {
    const one = { workload, rounds: await roundsOf(guest, sides, GUEST_WORKLOADS[workload]!, options.rounds) };
    cases.push(one);
    const ratios = sides.slice(1).map((side) => {
      const { firstRatio, againRatio } = summarizeGuest(one, side, sides[0]!);
      return `${side} ${firstRatio.toFixed(2)}, again ${againRatio.toFixed(2)}`;
    });
    say(`${workload}: ${ratios.join('; ')}`);
  }
  const { qemu, kernel, virtiofsd } = environment;
  const versions = `QEMU ${qemu.version} (TCG), guest Linux ${kernel.release}, virtiofsd ${virtiofsd.version}`;
  return { versions, sides, cases };
}

/** Every side once a round, in turning order, behind a round that does not count. */
async function roundsOf(guest: Guest, sides: readonly string[], workload: GuestWorkload, rounds: number) {
  const wanted = wantedSum(workload);
  const results: Record<string, GuestReads>[] = [];
  for (let round = -1; round < rounds; round++) {
    const result: Record<string, GuestReads> = {};
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      result[side] = await read(guest, side, workload, wanted);
    }
    if (round >= 0) results.push(result);
  }
  return results;
}

async function read(guest: Guest, side: string, workload: GuestWorkload, wanted: number): Promise<GuestReads> {
  const { way, pattern, bytes, count, stride } = workload;
  const command = `reads /${side}/${READ_FILE} ${way} ${pattern} ${bytes} ${count} ${stride}`;
  const output = await guest.ok(`echo 3 >/proc/sys/vm/drop_caches; ${command}`, { timeoutMs: RUN_TIMEOUT_MS });
  const passes = output
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number) as [number, number]);
  const [first, again] = passes;
  if (first === undefined || again === undefined || passes.some(([ns, sum]) => !(ns > 0) || sum !== wanted)) {
    throw new BenchError('ERR_BENCH_ANSWER', `${command}: wanted twice the sum ${wanted}, got ${output}`);
  }
  return { firstNs: first[0], againNs: again[0] };
}
