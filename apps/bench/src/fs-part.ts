/** `oriel fs` against virtiofsd: share, back-ends, driver, all cases. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guestUnsupported, setupGuest } from '@oriel/test-vm-guest';
import { placementFor } from './cpu.ts';
import type { DriverCommand } from './driver/protocol.ts';
import { DriverProcess } from './driver-process.ts';
import { type CaseResult, measure } from './measure.ts';
import { type BenchOptions, profileFlags } from './options.ts';
import { attach, type Peer, type PeerOptions, startOrielFs, startVirtiofsd } from './peers.ts';
import { say } from './progress.ts';
import { type FsReport, judge } from './report.ts';
import { makeShare } from './share.ts';

const TMPFS = '/dev/shm';
const DRIVER = fileURLToPath(new URL('./driver/main.ts', import.meta.url));

/**
 * Measures.
 * @throws BenchError for a wrong answer, a hang, or a back-end that ends; GuestError where one does not start
 */
export async function measureFs(options: BenchOptions): Promise<FsReport> {
  const placement = placementFor(options.cores);
  await using resources = new AsyncDisposableStack();
  const dir = mkdtempSync(join(TMPFS, 'oriel-bench-'));
  resources.defer(() => rmSync(dir, { recursive: true, force: true }));
  const shareDir = resolve(options.shareDir ?? dir);
  makeShare(shareDir);
  const socketPath = (name: string) => join(dir, `${name}.sock`);
  const common = { cpu: placement.backend, shareDir };
  const peers: Peer[] = [];
  const add = (peer: Peer | null) => {
    if (peer === null) return;
    peers.push(peer);
    resources.defer(() => peer.stop());
  };
  const { spinUs } = options;
  add(await startOrielFs({ ...common, socketPath: socketPath('oriel'), spinUs, flags: profileFlags(options) }));
  if (options.peerSocket !== undefined) add(attach(options.peerSocket));
  else add(await virtiofsd({ ...common, socketPath: socketPath('virtiofsd') }));

  const driver = resources.use(new DriverProcess<DriverCommand>(DRIVER, placement.driver));
  const call = (command: DriverCommand) => Promise.race([driver.call(command), ...peers.map(({ lost }) => lost)]);
  for (const { name: side, socketPath: path } of peers) {
    await call({ kind: 'connect', side, socketPath: path, shareDir });
  }
  const cases: CaseResult[] = [];
  for (const workload of options.workloads) {
    for (const { name: side } of peers) await call({ kind: 'prepare', side, workload });
    for (const depth of options.depths) {
      const sides = peers.map(({ name }) => name);
      const pids = new Map(peers.map(({ name, pid }) => [name, pid]));
      const result = await measure({ workload, depth }, { ...options, sides }, async (side, seconds) => {
        return (await call({ kind: 'run', side, workload, depth, seconds, pid: pids.get(side)! }))!;
      });
      cases.push(result);
      say(progress(result, sides));
    }
  }
  return { sides: peers.map(({ name, version }) => ({ name, version })), depths: options.depths, cases };
}

/** The peer, set up first where that was not done yet; null where it cannot be. */
async function virtiofsd(options: PeerOptions): Promise<Peer | null> {
  const missing = guestUnsupported();
  if (missing !== undefined) {
    say(`no virtiofsd to compare with: ${missing}`);
    return null;
  }
  return startVirtiofsd(await setupGuest({ log: say }), options);
}

function progress(result: CaseResult, sides: readonly string[]): string {
  const [ours, peer] = sides as [string, string?];
  const name = `${result.workload} at ${result.depth}`;
  if (peer === undefined) return name;
  const { ops, cpu } = judge(result, ours, peer);
  return `${name}: ops ${ops.toFixed(2)}, cpu ${cpu.toFixed(2)}`;
}
