/** The file of a host blob, looked at before it is mapped: some front-ends die of what they cannot map. */
import type { RegionLimits } from '@oriel/shm-region';
import {
  AT_EMPTY_PATH,
  F_GETFL,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_WRITE,
  O_ACCMODE,
  O_RDWR,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_STATS,
  Statx,
  type Sys,
} from '@oriel/sys';
import type { HostBlob } from '../contexts/context-type.ts';

const EMPTY_PATH = new Uint8Array(1);
const buffer = new Uint8Array(Statx.byteLength);
const view = new DataView(buffer.buffer);

/**
 * What is wrong with a blob's file now, or null. Another process may have sealed or shrunk it since the blob was made.
 * @param len - bytes that are to be mapped
 */
export function fileFault(
  sys: Pick<Sys, 'fd' | 'file' | 'mem'>,
  host: HostBlob,
  len: number,
  limits: RegionLimits,
): string | null {
  if (len > host.size) return `the host object has ${host.size} bytes`;
  if (!isWritable(sys, host.fd)) return 'its file cannot be written';
  const minds = limits.insideFile || limits.growsEmptyFile;
  return minds && !holds(sys, host, len) ? 'its file is too short' : null;
}

function isWritable(sys: Pick<Sys, 'fd' | 'mem'>, fd: number): boolean {
  const flags = sys.fd.fcntl(fd, F_GETFL, 0);
  if (flags < 0 || (flags & O_ACCMODE) !== O_RDWR) return false;
  // Negative for what has no seals.
  const seals = sys.mem.getSeals(fd);
  return seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) === 0;
}

/** What is no plain file (a dma-buf) has no size to look at. */
function holds(sys: Pick<Sys, 'file'>, host: HostBlob, len: number): boolean {
  if (sys.file.statx(host.fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, buffer) < 0) return false;
  const isPlain = (Statx.stxMode.get(view, 0) & S_IFMT) === S_IFREG;
  return !isPlain || host.fdOffset + len <= Statx.stxSize.get(view, 0);
}
