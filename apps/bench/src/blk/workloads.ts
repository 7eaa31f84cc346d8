/** What is measured of disks, by `qemu-img bench` (libblkio, a front-end that no one here wrote). */

/** Requests of 4 KiB, one behind the other; those of one kind. */
export interface BlkWorkload {
  readonly write: boolean;
}

export const BLK_WORKLOADS: Readonly<Record<string, BlkWorkload>> = {
  'blk-read': { write: false },
  'blk-write': { write: true },
};

/** Requests under way at the same time. */
export const BLK_DEPTHS: readonly number[] = [1, 64];
/** Bytes of a request. */
export const BLK_BYTES = 4096;
