/** Native memory for the arguments and results of one system call at a time. */
import { type Address, Mapping, Statx, type SysMem, Timespec, XATTR_LIST_MAX } from '@oriel/sys';

const PATH_LEN = 4096;
const DOT = 0x2e;

/** Where things stand in the mapping. */
const STATX_AT = 0;
const STATFS_AT = STATX_AT + Statx.byteLength;
const TIMES_AT = STATFS_AT + 128;
/** A NUL byte: the empty path of AT_EMPTY_PATH. */
const EMPTY_AT = TIMES_AT + 2 * Timespec.byteLength;
const DOT_AT = EMPTY_AT + 8;
const MOUNT_ID_AT = DOT_AT + 8;
const INNER_STATX_AT = 1024;
const PATH_AT = 4096;
const LIST_AT = PATH_AT + PATH_LEN;
const LEN = LIST_AT + XATTR_LIST_MAX;

/** Memory of a `struct statx`, also as u32 words. */
export interface StatxBuffer {
  readonly addr: Address;
  readonly words: Uint32Array;
}

/** Scratch memory of one file system. */
export class Scratch implements Disposable {
  readonly #mapping: Mapping;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly statx: StatxBuffer;
  /** For what the inode table asks meanwhile. */
  readonly innerStatx: StatxBuffer;
  /** An i32 that name_to_handle_at fills; as u32: `mountIdWord[0]`. */
  readonly mountId: Address;
  readonly mountIdWord: Uint32Array;
  /** A `struct statfs`; it starts at byte `statfsAt` of `view`. */
  readonly statfs: Address;
  readonly statfsAt = STATFS_AT;
  /** Two `struct timespec` (access, modification); they start at byte `timesAt` of `view`. */
  readonly times: Address;
  readonly timesAt = TIMES_AT;
  /** "" */
  readonly empty: Address;
  /** "." */
  readonly dot: Address;
  /** `pathLen` bytes for a path, also at `bytes[pathAt]`. */
  readonly path: Address;
  readonly pathAt = PATH_AT;
  readonly pathLen = PATH_LEN;
  /** XATTR_LIST_MAX bytes for a list of attribute names, also at `bytes[listAt]`. */
  readonly list: Address;
  readonly listAt = LIST_AT;

  /** @throws SysError ENOMEM */
  constructor(mem: SysMem) {
    this.#mapping = Mapping.anonymous(mem, LEN);
    const addr = this.#mapping.addr;
    this.bytes = this.#mapping.u8;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, LEN);
    this.bytes[DOT_AT] = DOT;
    this.statx = { addr: addr + STATX_AT, words: this.#words(STATX_AT, Statx.byteLength) };
    this.innerStatx = { addr: addr + INNER_STATX_AT, words: this.#words(INNER_STATX_AT, Statx.byteLength) };
    this.mountId = addr + MOUNT_ID_AT;
    this.mountIdWord = this.#words(MOUNT_ID_AT, 4);
    this.statfs = addr + STATFS_AT;
    this.times = addr + TIMES_AT;
    this.empty = addr + EMPTY_AT;
    this.dot = addr + DOT_AT;
    this.path = addr + PATH_AT;
    this.list = addr + LIST_AT;
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }

  #words(at: number, len: number): Uint32Array {
    return new Uint32Array(this.bytes.buffer, this.bytes.byteOffset + at, len / 4);
  }
}
