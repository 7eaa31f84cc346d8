/** Which file a descriptor stands for: how a region of the memory table is recognised. */
import { AT_EMPTY_PATH, STATX_BASIC_STATS, Statx, type Sys } from '@oriel/sys';

/** st_dev as stat(2) packs it, and st_ino; `ino` is NaN above 2^53, and equals none. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

const EMPTY_PATH = new Uint8Array(1);
const buffer = new Uint8Array(Statx.byteLength);
const view = new DataView(buffer.buffer);

/** A `struct statx` of an open file, valid until the next call; or a negative errno. */
export function statxOf(sys: Pick<Sys, 'file'>, fd: number): DataView | number {
  const result = sys.file.statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, buffer);
  return result < 0 ? result : view;
}

/** The identity in a `struct statx`. */
export function identityIn(stat: DataView): FileIdentity {
  const ino = Statx.stxIno.get(stat, 0);
  return {
    dev: packDevice(Statx.stxDevMajor.get(stat, 0), Statx.stxDevMinor.get(stat, 0)),
    ino: Number.isSafeInteger(ino) ? ino : Number.NaN,
  };
}

/** The identity of an open file, to compare with `dev` and `ino` of a `MemoryRegion`; null where it cannot be had. */
export function fileIdentity(sys: Pick<Sys, 'file'>, fd: number): FileIdentity | null {
  const stat = statxOf(sys, fd);
  const identity = typeof stat === 'number' ? null : identityIn(stat);
  return identity === null || Number.isNaN(identity.ino) ? null : identity;
}

/** st_dev as stat(2) packs it: 12 bits of major (the kernel has no more) between the two parts of minor. */
function packDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
