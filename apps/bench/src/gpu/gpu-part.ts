/** `oriel gpu` against the floor: back-end, driver, all cases. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Compiled } from '../compiled.ts';
import { placementFor } from '../cpu.ts';
import { DriverProcess } from '../driver-process.ts';
import { type CaseResult, measure } from '../measure.ts';
import { type BenchOptions, profileFlags } from '../options.ts';
import { startOrielGpu } from '../peers.ts';
import { say } from '../progress.ts';
import type { GpuDriverCommand } from './driver/main.ts';
import { Floor, type FloorKind } from './floor/floor.ts';
import { compare, type GpuReport } from './gpu-report.ts';
import { GPU_WORKLOADS } from './workloads.ts';

const DRIVER = fileURLToPath(new URL('./driver/main.ts', import.meta.url));

/**
 * Measures.
 * @throws BenchError for a wrong answer, a hang, or a back-end that ends; GuestError where it does not start
 */
export async function measureGpu(options: BenchOptions): Promise<GpuReport> {
  const placement = placementFor(options.cores);
  await using resources = new AsyncDisposableStack();
  const floor = Compiled.possible ? resources.use(new Floor(placement.backend)) : null;
  if (floor === null) say('no floor to compare with: there is no C compiler (cc)');
  const dir = mkdtempSync(join(tmpdir(), 'oriel-bench-gpu-'));
  resources.defer(() => rmSync(dir, { recursive: true, force: true }));
  const { spinUs } = options;
  const socketPath = join(dir, 'oriel.sock');
  const flags = profileFlags(options);
  const peer = await startOrielGpu({ cpu: placement.backend, socketPath, spinUs, flags });
  resources.defer(() => peer.stop());
  const driver = resources.use(new DriverProcess<GpuDriverCommand>(DRIVER, placement.driver));
  const call = (command: GpuDriverCommand) => Promise.race([driver.call(command), peer.lost]);
  const { name: ours, pid } = peer;
  await call({ kind: 'connect', side: ours, socketPath });
  const cases: CaseResult[] = [];
  for (const workload of options.gpuWorkloads) {
    const { depths, floors, bytes } = GPU_WORKLOADS[workload]!;
    const sides = floor === null ? [ours] : [ours, ...floors];
    await call({ kind: 'prepare', side: ours, workload });
    for (const depth of depths) {
      const result = await measure({ workload, depth }, { ...options, sides }, async (side, seconds) => {
        if (side !== ours) return floor!.run(side as FloorKind, bytes, seconds);
        return (await call({ kind: 'run', side, workload, depth, seconds, pid }))!;
      });
      cases.push(result);
      say(
        [`${workload} at ${depth}:`, ...compare(result, ours).map((one) => `${one.floor} ${one.ops.toFixed(2)}`)].join(
          ' ',
        ),
      );
    }
  }
  return { ours, version: peer.version, cases };
}
