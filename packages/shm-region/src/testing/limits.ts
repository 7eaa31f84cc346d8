import type { RegionLimits } from '../limits.ts';

const STRICT: RegionLimits = {
  pageSize: 4096,
  maxMappings: 64,
  insideFile: true,
  needsWritableFd: true,
  honoursReadOnly: false,
  growsEmptyFile: true,
  overlap: 'refuse',
  unmap: 'exact',
  maxInFlight: 1,
};

/** The limits of a front-end that forbids all that QEMU 11.1 forbids, with 64 mappings; `changes` win. */
export function testLimits(changes: Partial<RegionLimits> = {}): RegionLimits {
  return { ...STRICT, ...changes };
}
