/** The contents of files, between clients and host memory: all by system calls, since a client may cut its file at any time. */
import {
  type Address,
  check,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  Fd,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  SysError,
} from '@oriel/sys';
import type { FileSys } from './client-file.ts';

/** Most bytes of a file that is copied whole: keymaps and colour profiles. */
export const MAX_COPIED_LEN = 16 * 1024 * 1024;

/** Reads from a file to an address. @returns bytes: fewer than `len` where the file ends; or a negative errno */
export function readFile(sys: FileSys, fd: number, to: Address, len: number, offset: number): number {
  let done = 0;
  while (done < len) {
    const result = sys.fd.pread(fd, to + done, len - done, offset + done);
    if (result < 0) return result;
    if (result === 0) break;
    done += result;
  }
  return done;
}

/** Writes to a file from an address. @returns bytes or a negative errno */
export function writeFile(sys: FileSys, fd: number, from: Address, len: number, offset: number): number {
  let done = 0;
  while (done < len) {
    const result = sys.fd.pwrite(fd, from + done, len - done, offset + done);
    if (result < 0) return result;
    done += result;
  }
  return done;
}

/** A file of its own for a client, with `len` bytes from an address, which never changes its size. @throws SysError */
export function sealedCopy(sys: FileSys, from: Address, len: number): Fd {
  const copy = new Fd(
    sys.fd,
    check(sys.mem.memfdCreate('wayland-copy', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'),
  );
  const written = writeFile(sys, copy.fd, from, len, 0);
  const result = written < 0 ? written : sys.mem.addSeals(copy.fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  if (result < 0) {
    copy.close();
    throw new SysError(-result, 'memfd');
  }
  return copy;
}
