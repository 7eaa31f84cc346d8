/** Our rings against plain C and the Rust virtio-queue crate: the programs by turns, on one CPU. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placementFor } from '../cpu.ts';
import { type CaseResult, measure } from '../measure.ts';
import type { BenchOptions } from '../options.ts';
import { say } from '../progress.ts';
import { buildRingPeers, OURS, runRing } from './ring-peers.ts';
import { compareRings, type RingsReport } from './rings-report.ts';
import { RING_BATCHES, RING_WORKLOADS } from './workloads.ts';

/** Measures. @throws BenchError when a program fails */
export async function measureRings(options: BenchOptions): Promise<RingsReport> {
  const dir = mkdtempSync(join(tmpdir(), 'oriel-bench-rings-'));
  try {
    const peers = buildRingPeers(dir);
    const { backend: cpu } = placementFor('one');
    const cases: CaseResult[] = [];
    for (const workload of options.ringWorkloads) {
      const ring = RING_WORKLOADS[workload]!;
      const able = peers.filter(({ formats }) => formats.includes(ring.format));
      for (const depth of RING_BATCHES) {
        const sides = able.map(({ name }) => name);
        const result = await measure({ workload, depth }, { ...options, sides }, (side, seconds) => {
          return runRing(able.find(({ name }) => name === side)!, ring, depth, seconds, cpu);
        });
        cases.push(result);
        const ratios = compareRings(result).map(({ peer, ratio }) => `${peer} ${ratio.toFixed(2)}`);
        say([`${workload} by ${depth}:`, ...ratios].join(' '));
      }
    }
    return { ours: OURS, cases };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
