/** What a front-end bears, as data: the ledger, the budget and the devices read it instead of asking which VMM is there. */
import { ShmRegionError } from './errors.ts';

/** What a region of this front-end bears. A device reads it and never asks which VMM is there. */
export interface RegionLimits {
  /** shmOffset, fdOffset and len are multiples of this, bytes; a power of two. */
  readonly pageSize: number;
  /** Most live mappings that this process may hold in this region. */
  readonly maxMappings: number;
  /** A mapping must end at or before the file's last whole page. The device checks it (see `MapRequest.before`). */
  readonly insideFile: boolean;
  /** The descriptor must be open for reading and writing, also for a read-only mapping. */
  readonly needsWritableFd: boolean;
  /** A mapping without the write flag is really read-only for the guest. */
  readonly honoursReadOnly: boolean;
  /** The front-end would grow an empty file. */
  readonly growsEmptyFile: boolean;
  /** What an overlapping MAP does at the front-end: the ledger refuses it, or lets an equal range be replaced. */
  readonly overlap: 'refuse' | 'replace';
  /** UNMAP names exactly one mapping ('exact') or any range ('range': neighbours then go in one message). */
  readonly unmap: 'exact' | 'range';
  /** Requests in flight at the same time; 1 for QEMU. Further requests wait in order. */
  readonly maxInFlight: number;
}

/** @throws ShmRegionError ERR_SHM_LIMITS when the numbers make no sense */
export function checkLimits(limits: RegionLimits): void {
  const { pageSize, maxMappings, maxInFlight } = limits;
  if (!isCount(pageSize) || 2 ** Math.round(Math.log2(pageSize)) !== pageSize) {
    throw new ShmRegionError('ERR_SHM_LIMITS', 'bug', `pageSize ${pageSize} is not a power of two`);
  }
  if (!isCount(maxMappings) || !isCount(maxInFlight)) {
    const found = `maxMappings ${maxMappings}, maxInFlight ${maxInFlight}`;
    throw new ShmRegionError('ERR_SHM_LIMITS', 'bug', `${found}: both must be whole numbers from 1`);
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}
