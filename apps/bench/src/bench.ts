/** One invocation: share, back-ends, driver, all cases, report. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { guestUnsupported, setupGuest } from '@oriel/test-vm-guest';
import { placementFor } from './cpu.ts';
import type { DriverCommand } from './driver/protocol.ts';
import { DriverProcess } from './driver-process.ts';
import { describeMachine } from './machine.ts';
import { type CaseResult, measure } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { attach, type Peer, type PeerOptions, startOriel, startVirtiofsd } from './peers.ts';
import { formatHead, formatTable, judge, type Report, toJson } from './report.ts';
import { makeShare } from './share.ts';

const TMPFS = '/dev/shm';

/** Where words go: standard error for progress, so that the table alone is on standard output. */
const say = (text: string) => void process.stderr.write(`${text}\n`);

/**
 * Measures and reports.
 * @throws BenchError for a wrong answer, a hang, or a back-end that ends; GuestError where one does not start
 */
export async function bench(options: BenchOptions): Promise<Report> {
  const machine = describeMachine();
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
  const { spinUs, profile } = options;
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`];
  add(await startOriel({ ...common, socketPath: socketPath('oriel'), spinUs, flags }));
  if (options.peerSocket !== undefined) add(attach(options.peerSocket));
  else add(await virtiofsd({ ...common, socketPath: socketPath('virtiofsd') }));

  const driver = resources.use(new DriverProcess(placement.driver));
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
  const report = { machine, options, sides: peers.map(({ name, version }) => ({ name, version })), cases };
  if (options.json !== undefined) writeFileSync(options.json, toJson(report));
  process.stdout.write(`${formatHead(report)}\n\n${formatTable(report)}\n`);
  return report;
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
