/** An inode of the memory file system. */
import { ENOSPC } from '@oriel/sys';
import type { Attributes } from '../attributes.ts';

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const BLOCK = 512;
/** Largest file: it lives in memory. */
const SIZE_MAX = 64 * 1024 * 1024;

/** A file, directory, symlink or special file; `data` is content or target. */
export class MemoryNode {
  readonly nodeid: number;
  mode: number;
  uid: number;
  gid: number;
  nlink = 1;
  rdev = 0;
  size = 0;
  data: Uint8Array = new Uint8Array(0);
  /** Of a directory, by `Name.key()`; null elsewhere. */
  readonly children: Map<string, MemoryNode> | null;
  /** The directory that holds a directory; itself for the root. */
  parent: MemoryNode = this;
  readonly xattrs: Map<string, Uint8Array> = new Map();
  /** Seconds and ns by turns. */
  atime = 0;
  atimeNs = 0;
  mtime = 0;
  mtimeNs = 0;
  ctime = 0;
  ctimeNs = 0;
  /** Lookups that the driver holds, and open handles: what keeps an unlinked node alive. */
  lookups = 0;
  opens = 0;

  constructor(nodeid: number, mode: number, uid: number, gid: number) {
    this.nodeid = nodeid;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    this.children = (mode & S_IFMT) === S_IFDIR ? new Map() : null;
    this.touch(true);
    this.atime = this.mtime;
    this.atimeNs = this.mtimeNs;
  }

  get type(): number {
    return this.mode & S_IFMT;
  }

  /** Sets ctime, and mtime where the content changed. */
  touch(content: boolean): void {
    const ms = Date.now();
    this.ctime = Math.floor(ms / 1000);
    this.ctimeNs = (ms % 1000) * 1_000_000;
    if (content) {
      this.mtime = this.ctime;
      this.mtimeNs = this.ctimeNs;
    }
  }

  /** Cuts or grows the content; what is new is zero. @returns 0 or -ENOSPC */
  resize(size: number): number {
    if (size > SIZE_MAX) {
      return -ENOSPC;
    }
    if (size > this.data.length) {
      const grown = new Uint8Array(Math.max(size, Math.min(this.data.length * 2, SIZE_MAX)));
      grown.set(this.data.subarray(0, this.size));
      this.data = grown;
    } else if (size < this.size) {
      this.data.fill(0, size, this.size);
    }
    this.size = size;
    return 0;
  }

  /** Drops the set-id bits, as a write by another user does. */
  killSuidgid(): void {
    this.mode &= ~S_ISUID;
    if ((this.mode & S_IXGRP) !== 0) {
      this.mode &= ~S_ISGID;
    }
  }

  fill(attr: Attributes): void {
    attr.inoLo = this.nodeid;
    attr.inoHi = 0;
    attr.size = this.size;
    attr.blocks = Math.ceil(this.size / BLOCK);
    attr.atime = this.atime;
    attr.atimeNs = this.atimeNs;
    attr.mtime = this.mtime;
    attr.mtimeNs = this.mtimeNs;
    attr.ctime = this.ctime;
    attr.ctimeNs = this.ctimeNs;
    attr.mode = this.mode;
    attr.nlink = this.nlink;
    attr.uid = this.uid;
    attr.gid = this.gid;
    attr.rdevMajor = (this.rdev >>> 8) & 0xfff;
    attr.rdevMinor = (this.rdev & 0xff) | ((this.rdev >>> 12) & 0xfff00);
    attr.blksize = 4096;
    attr.flags = 0;
  }
}
