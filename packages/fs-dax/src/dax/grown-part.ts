/** The part that a file has only while it is grown: a hole, unless somebody wrote to it. */
import { ENXIO, SEEK_DATA, type Sys } from '@oriel/sys';

const CHUNK = 64 * 1024;

/**
 * True when any byte in [from, to) of a file is not zero: shortening the file would lose it.
 * @param from - the start of a page is found to be a hole without reading it
 */
export function holdsData(sys: Pick<Sys, 'fd' | 'file'>, fd: number, from: number, to: number): boolean {
  // File systems may call an untouched part data, never the other way round.
  if (sys.file.lseek(fd, from, SEEK_DATA) === -ENXIO) return false;
  const bytes = Buffer.alloc(CHUNK);
  const zeros = Buffer.alloc(CHUNK);
  for (let at = from; at < to; ) {
    const got = sys.fd.pread(fd, bytes, Math.min(CHUNK, to - at), at);
    // What cannot be read is not to be thrown away either.
    if (got <= 0) return got < 0;
    if (bytes.compare(zeros, 0, got, 0, got) !== 0) return true;
    at += got;
  }
  return false;
}
