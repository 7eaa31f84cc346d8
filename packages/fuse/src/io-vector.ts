/** Where the data of a READ goes, and where the data of a WRITE lies. */
import type { Address } from '@oriel/sys';

/** Guest data of a READ or WRITE as a native struct iovec array, for preadv2 / pwritev2. */
export interface IoVector {
  /** Address of `count` struct iovec (also valid while the operation is PENDING). */
  readonly addr: Address;
  readonly count: number;
  /** Bytes in all. */
  readonly len: number;
  /** WRITE, for file systems without system calls: copies data bytes [offset, offset + len). @returns bytes, or -EFAULT */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  /** READ, for file systems without system calls: puts data bytes at [offset, offset + len). @returns bytes, or -EFAULT */
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
}
