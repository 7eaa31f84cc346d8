/** What statx says of a file: one buffer, read by words, since every LOOKUP and GETATTR goes through it. */
import type { Attributes, StatxOut } from '@oriel/fuse';
import { TWO_32, UNSAFE_HI } from '@oriel/layout';
import {
  type Address,
  AT_EMPTY_PATH,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_NOFOLLOW,
  S_IFMT,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
  Statx,
  type SysFile,
} from '@oriel/sys';
import type { IdTranslation } from './id-translation.ts';
import type { StatxBuffer } from './scratch.ts';

const MASK = STATX_BASIC_STATS | STATX_MNT_ID;
// An automount that a guest's look-up would trigger could block for minutes.
const BY_NAME = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

/** Index of a field as u32 words. */
const STATX_MASK = Statx.stxMask.offset / 4;
const ATTRIBUTES = Statx.stxAttributes.offset / 4;
const ATTRIBUTES_MASK = Statx.stxAttributesMask.offset / 4;
const BTIME = Statx.stxBtimeSec.offset / 4;
const BLKSIZE = Statx.stxBlksize.offset / 4;
const NLINK = Statx.stxNlink.offset / 4;
const UID = Statx.stxUid.offset / 4;
const GID = Statx.stxGid.offset / 4;
const MODE = Statx.stxMode.offset / 4;
const INO = Statx.stxIno.offset / 4;
const SIZE = Statx.stxSize.offset / 4;
const BLOCKS = Statx.stxBlocks.offset / 4;
const ATIME = Statx.stxAtimeSec.offset / 4;
const CTIME = Statx.stxCtimeSec.offset / 4;
const MTIME = Statx.stxMtimeSec.offset / 4;
const NSEC = (Statx.stxAtimeNsec.offset - Statx.stxAtimeSec.offset) / 4;
const RDEV_MAJOR = Statx.stxRdevMajor.offset / 4;
const RDEV_MINOR = Statx.stxRdevMinor.offset / 4;
const DEV_MAJOR = Statx.stxDevMajor.offset / 4;
const DEV_MINOR = Statx.stxDevMinor.offset / 4;
const MOUNT = Statx.stxMntId.offset / 4;

/** How files are asked for, and what is said of them. */
export interface StatusOptions {
  /** What the guest calls the host's ids; null: the same. */
  readonly uids?: IdTranslation | null;
  readonly gids?: IdTranslation | null;
  /** AT_STATX_* of `ofEntry`. */
  readonly entryFlags?: number;
}

/** The status of the file last asked for. */
export class FileStatus {
  readonly #file: SysFile;
  readonly #words: Uint32Array;
  readonly #buffer: Address;
  readonly #empty: Address;
  readonly #uids: IdTranslation | null;
  readonly #gids: IdTranslation | null;
  readonly #byName: number;

  /**
   * @param empty - address of an empty path
   */
  constructor(file: SysFile, empty: Address, buffer: StatxBuffer, options: StatusOptions = {}) {
    this.#file = file;
    this.#uids = options.uids ?? null;
    this.#gids = options.gids ?? null;
    this.#byName = BY_NAME | (options.entryFlags ?? 0);
    this.#words = buffer.words;
    this.#buffer = buffer.addr;
    this.#empty = empty;
  }

  /** Asks for an entry of a directory; a symbolic link is not followed. @returns 0 or a negative errno */
  ofEntry(dirfd: number, name: Address): number {
    return this.#file.statx(dirfd, name, this.#byName, MASK, this.#buffer);
  }

  /** Asks for an open file, O_PATH too. @returns 0 or a negative errno */
  ofFd(fd: number): number {
    return this.#file.statx(fd, this.#empty, AT_EMPTY_PATH, MASK, this.#buffer);
  }

  /** As `ofFd`, with all that `fillFacts` gives. */
  ofFdWhole(fd: number): number {
    return this.#file.statx(fd, this.#empty, AT_EMPTY_PATH, MASK | STATX_BTIME, this.#buffer);
  }

  get mode(): number {
    return this.#words[MODE]! & 0xffff;
  }

  /** S_IF* bits. */
  get type(): number {
    return this.#words[MODE]! & S_IFMT;
  }

  get nlink(): number {
    return this.#words[NLINK]!;
  }

  /** On the host. */
  get uid(): number {
    return this.#words[UID]!;
  }

  /** On the host. */
  get gid(): number {
    return this.#words[GID]!;
  }

  get inoLo(): number {
    return this.#words[INO]!;
  }

  get inoHi(): number {
    return this.#words[INO + 1]!;
  }

  get devMajor(): number {
    return this.#words[DEV_MAJOR]!;
  }

  get devMinor(): number {
    return this.#words[DEV_MINOR]!;
  }

  /** Mount id, 0 where the kernel does not tell (before 5.8). */
  get mount(): number {
    return this.#words[MOUNT]!;
  }

  /** True when both tell of one inode, seen by one mount. */
  isSameFile(other: FileStatus): boolean {
    return this.isFile(other.inoLo, other.inoHi, other.devMajor, other.devMinor, other.mount, other.type);
  }

  /** True for that inode, seen by that mount. */
  isFile(inoLo: number, inoHi: number, devMajor: number, devMinor: number, mount: number, type: number): boolean {
    return (
      this.inoLo === inoLo &&
      this.inoHi === inoHi &&
      this.devMinor === devMinor &&
      this.devMajor === devMajor &&
      this.mount === mount &&
      this.type === type
    );
  }

  /** Bytes; a sparse file of 2^53 or more is told as one byte less than that. */
  get size(): number {
    const hi = this.#words[SIZE + 1]!;
    return hi < UNSAFE_HI ? hi * TWO_32 + this.#words[SIZE]! : Number.MAX_SAFE_INTEGER;
  }

  /** Copies what the attributes lack. */
  fillFacts(out: StatxOut): void {
    const words = this.#words;
    out.mask = words[STATX_MASK]! & (STATX_BASIC_STATS | STATX_BTIME);
    out.attributesLo = words[ATTRIBUTES]!;
    out.attributesHi = words[ATTRIBUTES + 1]!;
    out.attributesMaskLo = words[ATTRIBUTES_MASK]!;
    out.attributesMaskHi = words[ATTRIBUTES_MASK + 1]!;
    out.btime = (words[BTIME + 1]! | 0) * TWO_32 + words[BTIME]!;
    out.btimeNs = words[BTIME + NSEC]!;
    out.devMajor = words[DEV_MAJOR]!;
    out.devMinor = words[DEV_MINOR]!;
  }

  /** Copies all but `flags` and the validity. */
  fill(attr: Attributes): void {
    const words = this.#words;
    attr.inoLo = words[INO]!;
    attr.inoHi = words[INO + 1]!;
    attr.size = this.size;
    attr.blocks = words[BLOCKS + 1]! * TWO_32 + words[BLOCKS]!;
    // Seconds are signed: a file may be older than 1970.
    attr.atime = (words[ATIME + 1]! | 0) * TWO_32 + words[ATIME]!;
    attr.atimeNs = words[ATIME + NSEC]!;
    attr.mtime = (words[MTIME + 1]! | 0) * TWO_32 + words[MTIME]!;
    attr.mtimeNs = words[MTIME + NSEC]!;
    attr.ctime = (words[CTIME + 1]! | 0) * TWO_32 + words[CTIME]!;
    attr.ctimeNs = words[CTIME + NSEC]!;
    attr.mode = words[MODE]! & 0xffff;
    attr.nlink = words[NLINK]!;
    attr.uid = this.#uids === null ? words[UID]! : this.#uids.toGuest(words[UID]!);
    attr.gid = this.#gids === null ? words[GID]! : this.#gids.toGuest(words[GID]!);
    attr.rdevMajor = words[RDEV_MAJOR]!;
    attr.rdevMinor = words[RDEV_MINOR]!;
    attr.blksize = words[BLKSIZE]!;
  }
}
