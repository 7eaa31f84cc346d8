/** The blk example against qemu-storage-daemon, on the same file, by turns. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guestUnsupported, HostProcess, setupGuest, startStorageDaemon } from '@oriel/test-vm-guest';
import { onCpu, placementFor } from '../cpu.ts';
import { type CaseResult, measure } from '../measure.ts';
import { NODE_FLAGS } from '../node-flags.ts';
import type { BenchOptions } from '../options.ts';
import { say } from '../progress.ts';
import { type BlkReport, compareBlk, OURS, PEER } from './blk-report.ts';
import { runQemuImg } from './qemu-img.ts';
import { BLK_BYTES, BLK_DEPTHS, BLK_WORKLOADS } from './workloads.ts';

const SERVE = fileURLToPath(new URL('../../../../packages/virtio-device/examples/serve-blk.ts', import.meta.url));
const DISK_BYTES = 256 * 1024 * 1024;
/** The first run of each case finds out how many requests take as long as a run should. */
const FIRST_COUNT = 2000;

/**
 * Measures. Null where the tools of QEMU cannot be had.
 * @throws BenchError when a run fails; GuestError where a back-end does not start
 */
export async function measureBlk(options: BenchOptions): Promise<BlkReport | null> {
  const unsupported = guestUnsupported();
  if (unsupported !== undefined) {
    say(`no disks: ${unsupported}`);
    return null;
  }
  const environment = await setupGuest({ log: say });
  const placement = placementFor(options.cores);
  await using resources = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), 'oriel-bench-blk-'));
  resources.defer(() => rmSync(dir, { recursive: true, force: true }));
  const disk = join(dir, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, DISK_BYTES);
  const sockets: Record<string, string> = { [OURS]: join(dir, 'oriel.sock'), [PEER]: join(dir, 'peer.sock') };
  // libblkio shares RAM that is not sealed.
  const serve = [process.execPath, ...NODE_FLAGS, SERVE, '--trust-ram', '--survive', disk, sockets[OURS]!];
  const ours = await HostProcess.startUntil(/listening/, onCpu(placement.backend, serve), { name: 'blk' });
  resources.defer(() => ours.stop().then(() => {}));
  const peer = await startStorageDaemon(environment, { socketPath: sockets[PEER]!, imagePath: disk }, (command) =>
    onCpu(placement.backend, command),
  );
  resources.defer(() => peer.stop().then(() => {}));
  const pids: Record<string, number> = { [OURS]: ours.pid, [PEER]: peer.pid };

  const cases: CaseResult[] = [];
  for (const workload of options.blkWorkloads) {
    const { write } = BLK_WORKLOADS[workload]!;
    for (const depth of BLK_DEPTHS) {
      const rates: Record<string, number> = {};
      const result = await measure({ workload, depth }, { ...options, sides: [OURS, PEER] }, async (side, seconds) => {
        const count = Math.max(FIRST_COUNT, Math.round((rates[side] ?? 0) * seconds));
        const run = { socketPath: sockets[side]!, write, depth, count, cpu: placement.driver, backendPid: pids[side]! };
        const one = await runQemuImg(environment, run);
        rates[side] = one.ops / one.seconds;
        return one;
      });
      cases.push(result);
      say(`${workload} at ${depth}: ${compareBlk(result).toFixed(2)}`);
    }
  }
  return { bytes: BLK_BYTES, peerVersion: environment.packages['qemu-utils'] ?? '', cases };
}
