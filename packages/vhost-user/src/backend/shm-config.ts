/** The shared memory regions that a device declares: what front-ends can bear, and the answer to GET_SHMEM_CONFIG. */
import type { Logger } from '@oriel/sys';
import { VhostUserShMemConfig, VIRTIO_MAX_SHMEM_REGIONS } from '../layout.ts';
import type { FrontendProfile } from '../profiles.ts';
import type { RequestHandlers } from './requests.ts';

/** One shared memory region of a device: id 0..255, size in bytes. */
export interface ShmRegionSize {
  readonly shmid: number;
  readonly size: number;
}

/**
 * Checks a device's regions against what the front-end bears: wrong ones end QEMU with an assertion. A window above the
 * advised size is only warned of.
 * @throws RangeError
 */
export function checkShmRegions(regions: readonly ShmRegionSize[], profile: FrontendProfile, log: Logger): void {
  const { pageSize } = profile.limits;
  const seen = new Set<number>();
  let sum = 0;
  for (const { shmid, size } of regions) {
    if (!Number.isInteger(shmid) || shmid < 0 || shmid >= VIRTIO_MAX_SHMEM_REGIONS || seen.has(shmid)) {
      throw new RangeError(`shmid ${shmid} is not a new number in 0..${VIRTIO_MAX_SHMEM_REGIONS - 1}`);
    }
    if (!Number.isSafeInteger(size) || size <= 0 || size % pageSize !== 0) {
      throw new RangeError(`region ${shmid} of ${size} bytes: wants a positive multiple of the page size ${pageSize}`);
    }
    seen.add(shmid);
    sum += size;
  }
  if (regions.length > profile.maxRegions) {
    throw new RangeError(`${regions.length} regions, front-end ${profile.name} has at most ${profile.maxRegions}`);
  }
  if (profile.dialect !== 'shmem' && regions.some(({ shmid }) => shmid !== 0)) {
    throw new RangeError(`front-end ${profile.name} has one window, shmid 0`);
  }
  if (profile.powerOfTwoRegions && !isPowerOfTwo(sum) && regions.length > 0) {
    throw new RangeError(`regions of ${sum} bytes in all, front-end ${profile.name} wants a power of two`);
  }
  if (sum > profile.advisedWindow) {
    log.warn('shared memory regions are larger than advised for this front-end', {
      bytes: sum,
      advised: profile.advisedWindow,
      frontend: profile.name,
    });
  }
}

/** GET_SHMEM_CONFIG: its answer may not change while connected. */
export function shmConfigRequests(regions: readonly ShmRegionSize[]): RequestHandlers {
  const answer = encodeShmConfig(regions);
  return { GET_SHMEM_CONFIG: () => answer };
}

/** The whole answer to GET_SHMEM_CONFIG, 2056 bytes. */
function encodeShmConfig(regions: readonly ShmRegionSize[]): Uint8Array {
  const bytes = new Uint8Array(VhostUserShMemConfig.byteLength);
  const view = new DataView(bytes.buffer);
  VhostUserShMemConfig.nregions.set(view, 0, regions.length);
  for (const { shmid, size } of regions) {
    VhostUserShMemConfig.memorySizes.set(view, 0, shmid, size);
  }
  return bytes;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}
