/**
 * The crash record of `grow`: before a file is lengthened for a map request its true size is written down, so that the next
 * start can shorten it again when this process was killed in between. One file is grown at a time, so one record suffices.
 */
import { crc32 } from 'node:zlib';
import { bytes, struct, U32, U64 } from '@oriel/layout';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  EAGAIN,
  ENAMETOOLONG,
  ENOENT,
  ENOSPC,
  Fd,
  LOCK_EX,
  LOCK_NB,
  Mapping,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_RDWR,
  STATX_BASIC_STATS,
  Statx,
  type Sys,
  SysError,
} from '@oriel/sys';
import { FsDaxError } from '../errors.ts';
import type { FileIdentity } from './file-facts.ts';

const MAGIC = 0x4c49524f; // 'ORIL'
const VERSION = 1;
const RECORD_BYTES = 4096;

/** One page: written and read whole, so that a kill cannot leave half of it. */
const Record = struct('grow_record', {
  magic: U32,
  version: U32,
  /** crc32 of the bytes behind this field. */
  checksum: U32,
  /** 0: nothing is grown. */
  grown: U32,
  dev: U64,
  ino: U64,
  trueSize: U64,
  grownSize: U64,
  pathLen: U32,
  path: bytes(RECORD_BYTES - 52),
});
const CHECKED_FROM = Record.grown.offset;
/** Locks tried when several processes serve one share. */
const MOST_RECORDS = 64;

export interface GrownFile {
  readonly identity: FileIdentity;
  readonly trueSize: number;
  readonly grownSize: number;
  /** Relative to the share. */
  readonly path: string;
}

export class GrowRecord implements Disposable {
  readonly #sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly #fd: Fd;
  readonly #memory: Mapping;
  readonly #view: DataView;
  /** Where the record lies. */
  readonly path: string;
  /** Something is written down: the file then stays behind for the next start. */
  #grown = false;

  private constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, fd: Fd, path: string) {
    this.#sys = sys;
    this.#fd = fd;
    this.path = path;
    this.#memory = Mapping.anonymous(sys.mem, RECORD_BYTES);
    this.#view = new DataView(this.#memory.u8.buffer, this.#memory.u8.byteOffset, RECORD_BYTES);
  }

  /**
   * Opens and locks the first free record of a share, and gives every unlocked one that names a grown file to `repair`.
   * @param directory - exists and is writable
   * @param share - names the share in file names: letters, digits, '-'
   * @param repair - mends one file; true when the record may be cleared
   * @throws FsDaxError ERR_FSDAX_RECORD
   */
  static open(
    sys: Pick<Sys, 'mem' | 'fd' | 'file'>,
    directory: string,
    share: string,
    repair: (file: GrownFile) => boolean,
  ): GrowRecord {
    let mine: GrowRecord | null = null;
    try {
      for (let index = 0; index < MOST_RECORDS; index++) {
        const path = `${directory}/grow-${share}-${index}.record`;
        const record = GrowRecord.#lock(sys, path, mine === null ? O_CREAT : 0);
        if (typeof record === 'number') continue;
        if (record.#mend(repair) && mine === null) mine = record;
        else record[Symbol.dispose]();
      }
    } catch (error) {
      mine?.[Symbol.dispose]();
      throw error;
    }
    if (mine === null) {
      throw new FsDaxError('ERR_FSDAX_RECORD', `no free crash record in ${directory}; see its files grow-${share}-*`);
    }
    return mine;
  }

  /** Writes the record. @returns 0 or a negative errno: nothing may be grown then */
  begin(file: GrownFile): number {
    const path = new TextEncoder().encode(file.path);
    if (path.length > Record.path.size) return -ENAMETOOLONG;
    const view = this.#view;
    this.#memory.u8.fill(0);
    Record.magic.set(view, 0, MAGIC);
    Record.version.set(view, 0, VERSION);
    Record.grown.set(view, 0, 1);
    Record.dev.set(view, 0, file.identity.dev);
    Record.ino.setParts(view, 0, file.identity.inoLo, file.identity.inoHi);
    Record.trueSize.set(view, 0, file.trueSize);
    Record.grownSize.set(view, 0, file.grownSize);
    Record.pathLen.set(view, 0, path.length);
    this.#memory.u8.set(path, Record.path.offset);
    Record.checksum.set(view, 0, crc32(this.#memory.u8.subarray(CHECKED_FROM)));
    this.#grown = true;
    return this.#store();
  }

  /** Says that nothing is grown. @returns 0 or a negative errno */
  clear(): number {
    this.#memory.u8.fill(0);
    const result = this.#store();
    this.#grown &&= result < 0;
    return result;
  }

  /** Opens and locks a record. @returns -ENOENT when it is not there, -EAGAIN when another process has it */
  static #lock(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, path: string, create: number): GrowRecord | number {
    const flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | create;
    const opened = sys.file.openat(AT_FDCWD, new TextEncoder().encode(`${path}\0`), flags, 0o600);
    if (opened === -ENOENT && create === 0) return opened;
    if (opened < 0) throw recordError(path, 'open', opened);
    const fd = new Fd(sys.fd, opened);
    try {
      const locked = sys.file.flock(fd.fd, LOCK_EX | LOCK_NB);
      if (locked === 0) {
        const record = new GrowRecord(sys, fd, path);
        if (record.#isThere()) return record;
        // Its owner took it away between our open and our lock.
        record[Symbol.dispose]();
        return GrowRecord.#lock(sys, path, create);
      }
      if (locked !== -EAGAIN) throw recordError(path, 'flock', locked);
      fd.close();
      return locked;
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Whether the locked file still has its name. */
  #isThere(): boolean {
    const { file } = this.#sys;
    this.#memory.u8.fill(0);
    const { addr } = this.#memory;
    const result = file.statx(this.#fd.fd, addr + Statx.byteLength, AT_EMPTY_PATH, STATX_BASIC_STATS, addr);
    return result === 0 && Statx.stxNlink.get(this.#view, 0) > 0;
  }

  /** Has what a killed process left mended. @returns true when the record is free; else it is left as it is */
  #mend(repair: (file: GrownFile) => boolean): boolean {
    try {
      const left = this.#load();
      this.#grown = left !== null;
      if (left !== null && !repair(left)) return false;
      // A record that cannot be written is found out now, and not when the first file is to be grown.
      const result = this.clear();
      if (result < 0) throw recordError(this.path, 'pwrite', result);
      return true;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #store(): number {
    const written = this.#sys.fd.pwrite(this.#fd.fd, this.#memory.addr, RECORD_BYTES, 0);
    return written < 0 ? written : written === RECORD_BYTES ? 0 : -ENOSPC;
  }

  #load(): GrownFile | null {
    this.#memory.u8.fill(0);
    const got = this.#sys.fd.pread(this.#fd.fd, this.#memory.addr, RECORD_BYTES, 0);
    const view = this.#view;
    const valid =
      got === RECORD_BYTES &&
      Record.magic.get(view, 0) === MAGIC &&
      Record.version.get(view, 0) === VERSION &&
      Record.grown.get(view, 0) === 1 &&
      Record.checksum.get(view, 0) === crc32(this.#memory.u8.subarray(CHECKED_FROM));
    if (!valid) return null;
    const pathLen = Math.min(Record.pathLen.get(view, 0), Record.path.size);
    return {
      identity: { dev: Record.dev.get(view, 0), inoLo: Record.ino.lo(view, 0), inoHi: Record.ino.hi(view, 0) },
      trueSize: Record.trueSize.get(view, 0),
      grownSize: Record.grownSize.get(view, 0),
      path: new TextDecoder().decode(this.#memory.u8.slice(Record.path.offset, Record.path.offset + pathLen)),
    };
  }

  /** Takes the file away, unless a grown file is written down in it. */
  [Symbol.dispose](): void {
    if (this.#fd.closed) return;
    // Still locked, so nobody else has it; who waits for the lock sees that the name is gone.
    if (!this.#grown && this.#isThere()) {
      this.#sys.file.unlinkat(AT_FDCWD, new TextEncoder().encode(`${this.path}\0`), 0);
    }
    this.#fd.close();
    this.#memory[Symbol.dispose]();
  }
}

function recordError(path: string, call: string, result: number): FsDaxError {
  return new FsDaxError('ERR_FSDAX_RECORD', `cannot use the crash record ${path}`, {
    cause: new SysError(-result, call),
  });
}
