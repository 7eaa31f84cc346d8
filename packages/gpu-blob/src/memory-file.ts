/** Host memory that has a descriptor: files that can neither shrink nor grow. */
import {
  AT_EMPTY_PATH,
  check,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  Fd,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  STATX_SIZE,
  Statx,
  type Sys,
  SysError,
} from '@oriel/sys';

const FIXED = F_SEAL_SHRINK | F_SEAL_GROW;
const NO_PATH = new Uint8Array(1);

/** Makes memory of `size` bytes, all zero. @returns null when there is none */
export function makeMemoryFile(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, name: string, size: number): Fd | null {
  const made = sys.mem.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (made < 0) return null;
  const memory = new Fd(sys.fd, made);
  try {
    check(sys.file.ftruncate(made, size), 'ftruncate');
    check(sys.mem.addSeals(made, FIXED | F_SEAL_SEAL), 'fcntl');
    return memory;
  } catch (error) {
    memory.close();
    if (error instanceof SysError) return null;
    throw error;
  }
}

/** Bytes of memory that another process made so; -1 for a file of another kind. @param fd - lent */
export function sizeOfMemoryFile(sys: Pick<Sys, 'mem' | 'file'>, fd: number): number {
  const seals = sys.mem.getSeals(fd);
  if (seals < 0 || (seals & FIXED) !== FIXED) return -1;
  const stat = new DataView(new ArrayBuffer(Statx.byteLength));
  return sys.file.statx(fd, NO_PATH, AT_EMPTY_PATH, STATX_SIZE, stat) < 0 ? -1 : Statx.stxSize.get(stat, 0);
}
