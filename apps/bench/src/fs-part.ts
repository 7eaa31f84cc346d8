/** `oriel fs` against virtiofsd: share, back-ends, driver, all cases. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guestUnsupported, setupGuest } from '@oriel/test-vm-guest';
import { Compiled } from './compiled.ts';
import { placementFor } from './cpu.ts';
import type { DriverCommand } from './driver/protocol.ts';
import { DriverProcess } from './driver-process.ts';
import { FLOOR, FsFloor, hasFloor } from './fs-floor/fs-floor.ts';
import { measure } from './measure.ts';
import { type BenchOptions, profileFlags } from './options.ts';
import { attach, type Peer, type PeerOptions, startOrielFs, startVirtiofsd } from './peers.ts';
import { say } from './progress.ts';
import { type FsCase, type FsReport, judge } from './report.ts';
import { makeShare, TMPFS } from './share.ts';

const DRIVER = fileURLToPath(new URL('./driver/main.ts', import.meta.url));

/** A back-end with a session of the driver. */
interface Side {
  /** What the driver calls it. */
  readonly name: string;
  readonly peer: Peer;
  readonly requestQueues: number;
}

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
  const common = { cpu: placement.backend, shareDir };
  const start = async (name: string, make: (socketPath: string) => Promise<Peer | null>): Promise<Side | null> => {
    const peer = await make(join(dir, `${name}.sock`));
    if (peer !== null) resources.defer(() => peer.stop());
    return peer === null ? null : { name, peer, requestQueues: 1 };
  };
  const { spinUs, lanes } = options;
  const ours = new Map<number, Side>();
  for (const queues of new Set(lanes.map((lane) => lane.queues))) {
    const flags = profileFlags(options);
    const side = await start(`oriel-${queues}`, (socketPath) => {
      return startOrielFs({ ...common, socketPath, spinUs, flags }, queues);
    });
    ours.set(queues, { ...side!, requestQueues: queues });
  }
  const { peerSocket } = options;
  const other = await start('peer', async (socketPath) => {
    return peerSocket === undefined ? virtiofsd({ ...common, socketPath }) : attach(peerSocket);
  });
  const sides = [...ours.values(), ...(other === null ? [] : [other])];
  const floor = Compiled.possible ? resources.use(new FsFloor(shareDir, placement)) : null;
  if (floor === null) say('no floor to compare with: there is no C compiler (cc)');

  const driver = resources.use(new DriverProcess<DriverCommand>(DRIVER, placement.driver));
  const lost = sides.map(({ peer }) => peer.lost);
  const call = (command: DriverCommand) => Promise.race([driver.call(command), ...lost]);
  for (const { name: side, peer, requestQueues } of sides) {
    await call({ kind: 'connect', side, socketPath: peer.socketPath, shareDir, requestQueues });
  }
  const cases: FsCase[] = [];
  for (const workload of options.workloads) {
    for (const { name: side } of sides) await call({ kind: 'prepare', side, workload });
    for (const { depth, queues } of lanes) {
      const measured = new Map(
        [ours.get(queues)!, other].filter((side) => side !== null).map((side) => [side.peer.name, side]),
      );
      const names = [...measured.keys()];
      const all = floor !== null && hasFloor(workload, depth) ? [...names, FLOOR] : names;
      const result = await measure({ workload, depth, queues }, { ...options, sides: all }, async (name, seconds) => {
        if (name === FLOOR) return floor!.run(workload, seconds);
        const { name: side, peer } = measured.get(name)!;
        return (await call({ kind: 'run', side, workload, depth, seconds, pid: peer.pid }))!;
      });
      cases.push(result);
      say(progress(result, names, options.cores));
    }
  }
  const [first] = ours.values();
  const columns = [first!, ...(other === null ? [] : [other])].map(({ peer: { name, version } }) => ({
    name,
    version,
  }));
  return { sides: columns, lanes, cores: options.cores, cases };
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

function progress(result: FsCase, names: readonly string[], cores: BenchOptions['cores']): string {
  const [ours, peer] = names as [string, string?];
  const queues = result.queues === 1 ? '' : ` over ${result.queues} queues`;
  const name = `${result.workload} at ${result.depth}${queues}`;
  if (peer === undefined) return name;
  const { ops, cpu } = judge(result, ours, peer, cores);
  return `${name}: ops ${ops.toFixed(2)}, cpu ${cpu.toFixed(2)}`;
}
