/** What a memory region is to the rest of the program: an announcement, and the mapping made of it. */
import type { Address, Fd } from '@oriel/sys';
import type { FileIdentity } from './file-identity.ts';

/** One region as a front-end announces it. Addresses and sizes are safe integers, bytes. */
export interface RegionDescription {
  /** Guest physical address of the first byte. */
  readonly gpa: number;
  readonly size: number;
  /** Front-end's user address of the first byte: how ring addresses are given. */
  readonly userAddr: number;
  /** Offset of the region in the file. */
  readonly mmapOffset: number;
  /** Given away: the memory owns it from the call on, also when the call throws. */
  readonly fd: Fd;
}

/** What is known of a region's file before it is mapped. */
export interface RegionFile extends FileIdentity {
  /** The file can never be truncated below its present size (F_SEAL_SHRINK). */
  readonly sealed: boolean;
}

/**
 * One region. `direct`: the file cannot shrink (F_SEAL_SHRINK), so views exist. Otherwise the region is guarded:
 * mapped only at its first use (for system calls, which answer EFAULT), with no view at all; its bytes are read and
 * written by system calls. `foreign`: the option `needs` said no to it. It has its place in the table, and nothing else: its
 * descriptor is closed, it was never mapped and is never live.
 */
export interface MemoryRegion {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
  readonly direct: boolean;
  readonly foreign: boolean;
  /**
   * False for a foreign region, and once the region left the table: its views have length 0 then, `read` and `write` answer
   * -EFAULT, and nothing may touch its memory.
   */
  readonly live: boolean;
  /** The file, lent. @throws RangeError for a foreign region, and once the region left the table and is unmapped */
  readonly fd: number;
  /** st_dev of the file (as stat(2) packs it) and st_ino, to recognise a file; `ino` is NaN above 2^53, and equals none. */
  readonly dev: number;
  readonly ino: number;
  /**
   * Host address of the region's first byte (maps a guarded region when first asked).
   * @throws SysError when the file cannot be mapped; GuestMemoryError ERR_MEM_UNKNOWN when the region is no longer live
   */
  readonly addr: Address;
  /** Views over the whole region, indexed by offset in the region; of length 0 unless the region is direct and live. */
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Copies region bytes [offset, offset + len) to private memory. The caller has checked the range. @returns 0 or -EFAULT */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  /** Copies private memory to region bytes [offset, offset + len). The caller has checked the range. @returns 0 or -EFAULT */
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
}
