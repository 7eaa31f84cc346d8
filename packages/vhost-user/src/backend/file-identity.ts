/** Which file a descriptor stands for, in the terms of a memory region. */
import { AT_EMPTY_PATH, STATX_BASIC_STATS, Statx, type SysFile } from '@oriel/sys';

/** st_dev as stat(2) packs it, and st_ino. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

const EMPTY_PATH = new Uint8Array(1);
const buffer = new Uint8Array(Statx.byteLength);
const view = new DataView(buffer.buffer);

/** The identity of an open file; null where it cannot be had, or is no safe integer. */
export function fileIdentity(sys: Pick<SysFile, 'statx'>, fd: number): FileIdentity | null {
  if (sys.statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, buffer) < 0) {
    return null;
  }
  const ino = Statx.stxIno.get(view, 0);
  if (!Number.isSafeInteger(ino)) {
    return null;
  }
  const major = Statx.stxDevMajor.get(view, 0);
  const minor = Statx.stxDevMinor.get(view, 0);
  return { dev: ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0, ino };
}
