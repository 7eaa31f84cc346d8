/**
 * CONTRACT (lead): what guest-memory offers. The helper turns each `declare` into a real export in a file of its own and
 * deletes this file; names and meaning stay.
 */
import type { Address, Fd, Sys } from '@oriel/sys';

/** One region as a front-end announces it. Addresses and sizes are safe integers, bytes. */
export interface RegionDescription {
  readonly gpa: number;
  readonly size: number;
  /** Front-end's user address: how ring addresses are given. */
  readonly userAddr: number;
  /** Offset of the region in the file. */
  readonly mmapOffset: number;
  /** Given away: the memory owns it from the call on, also when the call throws. */
  readonly fd: Fd;
}

/**
 * One mapped region. `direct`: the file cannot shrink (F_SEAL_SHRINK, or anonymous), so views exist. Otherwise the
 * region is `guarded`: mapped only at its first use (for system calls, which answer EFAULT), with no view at all; its
 * bytes are read and written by pread/pwrite on the descriptor.
 */
export declare class MemoryRegion {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
  readonly direct: boolean;
  readonly fd: number;
  /** st_dev and st_ino of the file, to recognise a mapping of ours in a memory-table update. */
  readonly dev: number;
  readonly ino: number;
  /** Host address of the region's first byte (maps a guarded region when first asked). @throws SysError */
  readonly addr: Address;
  /** Views over the whole region; only when `direct` (otherwise length 0). Index by offset in the region. */
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Copies region bytes [offset, offset+len) to private memory. @returns 0 or -EFAULT. Range already checked by the caller */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
}

export declare class GuestMemory implements Disposable {
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options?: { readonly maxRegions?: number });
  /** Grows by one at every change; holders of addresses re-resolve when it differs. */
  readonly generation: number;
  readonly regions: readonly MemoryRegion[];
  /** SET_MEM_TABLE: replaces all regions (those equal in gpa, size, userAddr, offset and file keep their mapping).
   * @throws GuestMemoryError ERR_MEM_OVERLAP, ERR_MEM_RANGE, ERR_MEM_COUNT, ERR_MEM_FILE; the old table then stays */
  replace(regions: readonly RegionDescription[]): void;
  /** ADD_MEM_REG. */
  add(region: RegionDescription): MemoryRegion;
  /** REM_MEM_REG. @throws GuestMemoryError ERR_MEM_UNKNOWN */
  remove(gpa: number, userAddr: number, size: number): void;
  /** The region that holds guest physical address `gpa`, or null. A look-up costs a compare for the last hit, else log n. */
  find(gpa: number): MemoryRegion | null;
  /** The region that wholly holds [userAddr, userAddr+len), or null. */
  findUser(userAddr: number, len: number): MemoryRegion | null;
  /** Pins the current mappings (an offloaded call uses their addresses): a removed region is unmapped only after the last unpin. */
  pin(): void;
  unpin(): void;
  clear(): void;
  [Symbol.dispose](): void;
}
