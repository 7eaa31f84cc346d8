/** Size and times of an open file, read by one statx into private memory. */
import { TWO_32 } from '@oriel/layout';
import { AT_EMPTY_PATH, Mapping, STATX_BASIC_STATS, Statx, type Sys, Timespec } from '@oriel/sys';

/** Where in the memory the kept times lie, access before modification, as utimensat takes them. */
const TIMES = 512;
const MTIME = TIMES + Timespec.byteLength;
/** This byte is never written: the empty path. */
const EMPTY = 1024;

export class FileFacts implements Disposable {
  readonly #sys: Pick<Sys, 'mem' | 'file'>;
  readonly #memory: Mapping;
  readonly #view: DataView;

  constructor(sys: Pick<Sys, 'mem' | 'file'>) {
    this.#sys = sys;
    this.#memory = Mapping.anonymous(sys.mem, sys.mem.pageSize);
    this.#view = new DataView(this.#memory.u8.buffer, this.#memory.u8.byteOffset, this.#memory.len);
  }

  /** The file's size in bytes, or a negative errno. Keeps the times for `restoreTimes`. */
  size(fd: number): number {
    const result = this.#sys.file.statx(
      fd,
      this.#memory.addr + EMPTY,
      AT_EMPTY_PATH,
      STATX_BASIC_STATS,
      this.#memory.addr,
    );
    return result < 0 ? result : Statx.stxSize.get(this.#view, 0);
  }

  /** Remembers the access and modification times last read by `size`. */
  keepTimes(): void {
    for (const [to, offset] of [
      [TIMES, Statx.stxAtimeSec.offset],
      [MTIME, Statx.stxMtimeSec.offset],
    ] as const) {
      // struct statx_timestamp {s64 sec; u32 nsec; s32 pad} to struct timespec {s64 sec; s64 nsec}
      this.#view.setUint32(to, this.#view.getUint32(offset, true), true);
      this.#view.setUint32(to + 4, this.#view.getUint32(offset + 4, true), true);
      this.#view.setUint32(to + 8, this.#view.getUint32(offset + 8, true), true);
      this.#view.setUint32(to + 12, 0, true);
    }
  }

  /** The remembered modification time, seconds (before 1970 negative) and ns. */
  get keptMtime(): number {
    return (Timespec.tvSec.hi(this.#view, MTIME) | 0) * TWO_32 + Timespec.tvSec.lo(this.#view, MTIME);
  }

  get keptMtimeNs(): number {
    return Timespec.tvNsec.lo(this.#view, MTIME);
  }

  /** Sets the remembered times. @returns 0 or a negative errno */
  restoreTimes(fd: number): number {
    return this.#sys.file.utimensat(fd, 0, this.#memory.addr + TIMES, 0);
  }

  /** st_dev major and minor of the file last looked at, as 64 bits in two words of a key. */
  get identity(): FileIdentity {
    return {
      dev: Statx.stxDevMajor.get(this.#view, 0) * TWO_32 + Statx.stxDevMinor.get(this.#view, 0),
      inoLo: Statx.stxIno.lo(this.#view, 0),
      inoHi: Statx.stxIno.hi(this.#view, 0),
    };
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** Which file: device (major * 2^32 + minor) and inode number as two words. */
export interface FileIdentity {
  readonly dev: number;
  readonly inoLo: number;
  readonly inoHi: number;
}

export function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.dev === b.dev && a.inoLo === b.inoLo && a.inoHi === b.inoHi;
}
