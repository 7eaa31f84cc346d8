/** What a client's descriptor is, so that nothing done with it can make the program wait. */
import { fstatSync } from 'node:fs';
import {
  F_GETFL,
  type Fd,
  HUGETLBFS_MAGIC,
  O_ACCMODE,
  O_WRONLY,
  RAMFS_MAGIC,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  Statfs,
  type Sys,
  TMPFS_MAGIC,
} from '@oriel/sys';

/** The slices of `Sys` that files take. */
export type FileSys = Pick<Sys, 'fd' | 'file' | 'mem' | 'socket'>;

/** `memory`: a file of a file system in memory (memfd, /dev/shm, XDG_RUNTIME_DIR): reading it never waits. */
export type ClientFileKind = 'memory' | 'pipe' | 'socket' | 'other';

export interface ClientFileFacts {
  readonly kind: ClientFileKind;
  /** Bytes, of a file. */
  readonly size: number;
  readonly writeOnly: boolean;
}

const IN_MEMORY: ReadonlySet<number> = new Set([TMPFS_MAGIC, RAMFS_MAGIC, HUGETLBFS_MAGIC]);
const statfs = new DataView(new ArrayBuffer(Statfs.byteLength));

function kindOf(sys: FileSys, fd: number, mode: number): ClientFileKind {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return 'pipe';
    case S_IFSOCK:
      return 'socket';
    case S_IFREG:
      return sys.file.fstatfs(fd, statfs) === 0 && IN_MEMORY.has(Statfs.fType.get(statfs, 0)) ? 'memory' : 'other';
    default:
      return 'other';
  }
}

/** Looks at a descriptor. */
export function inspectFile(sys: FileSys, fd: Fd): ClientFileFacts {
  const { mode, size } = fstatSync(fd.fd);
  const access = sys.fd.fcntl(fd.fd, F_GETFL, 0) & O_ACCMODE;
  return { kind: kindOf(sys, fd.fd, mode), size, writeOnly: access === O_WRONLY };
}
