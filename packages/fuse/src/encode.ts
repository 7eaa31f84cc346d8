/** Replies as u32 words: every structure that a reply carries, written at word `at`. */

import { TWO_32 } from '@oriel/layout';
import type { Attributes } from './attributes.ts';
import type { Entry } from './entry.ts';
import type { FileLock } from './file-lock.ts';
import { FuseAttr, FuseEntryOut, FuseStatx, FuseStatxOut } from './layout.ts';
import type { StatfsRecord } from './statfs.ts';
import type { StatxRecord } from './statx.ts';

/** Words of `fuse_entry_out`. */
export const ENTRY_WORDS = FuseEntryOut.byteLength / 4;
/** Word of `attr` in `fuse_entry_out`, and in `fuse_attr_out`. */
const ENTRY_ATTR = FuseEntryOut.attr.offset / 4;
const ATTR_OUT_ATTR = 4;
/** Word of `fuse_attr.flags`. */
const ATTR_LAST = FuseAttr.flags.offset / 4;
/** Words of `fuse_statx_out` and of what stands in it. */
const STATX_OUT_WORDS = FuseStatxOut.byteLength / 4;
const STATX = FuseStatxOut.stat.offset / 4;
const SX_ATIME = STATX + FuseStatx.atime.offset / 4;
const SX_BTIME = STATX + FuseStatx.btime.offset / 4;
const SX_CTIME = STATX + FuseStatx.ctime.offset / 4;
const SX_MTIME = STATX + FuseStatx.mtime.offset / 4;

/** A whole number, also a negative one, as 64 bits. */
export function putU64(words: Uint32Array, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = value >= 0 && value < TWO_32 ? 0 : Math.floor(value / TWO_32);
}

/** `struct fuse_attr`. */
export function putAttributes(words: Uint32Array, at: number, attr: Attributes): void {
  words[at] = attr.inoLo;
  words[at + 1] = attr.inoHi;
  putU64(words, at + 2, attr.size);
  putU64(words, at + 4, attr.blocks);
  putU64(words, at + 6, attr.atime);
  putU64(words, at + 8, attr.mtime);
  putU64(words, at + 10, attr.ctime);
  words[at + 12] = attr.atimeNs;
  words[at + 13] = attr.mtimeNs;
  words[at + 14] = attr.ctimeNs;
  words[at + 15] = attr.mode;
  words[at + 16] = attr.nlink;
  words[at + 17] = attr.uid;
  words[at + 18] = attr.gid;
  words[at + 19] = (attr.rdevMinor & 0xff) | ((attr.rdevMajor & 0xfff) << 8) | ((attr.rdevMinor & 0xfff00) << 12);
  words[at + 20] = attr.blksize;
  words[at + ATTR_LAST] = attr.flags;
}

/** `struct fuse_attr_out`. */
export function putAttrOut(words: Uint32Array, at: number, attr: Attributes): void {
  putU64(words, at, attr.validSec);
  words[at + 2] = attr.validNs;
  words[at + 3] = 0;
  putAttributes(words, at + ATTR_OUT_ATTR, attr);
}

/** `struct fuse_entry_out`. */
export function putEntry(words: Uint32Array, at: number, entry: Entry): void {
  const attr = entry.attr;
  putU64(words, at, entry.nodeid);
  putU64(words, at + 2, entry.generation);
  putU64(words, at + 4, entry.entryValidSec);
  putU64(words, at + 6, attr.validSec);
  words[at + 8] = entry.entryValidNs;
  words[at + 9] = attr.validNs;
  putAttributes(words, at + ENTRY_ATTR, attr);
}

/** A negative `struct fuse_entry_out`: nothing but how long the name stays away. */
export function putNegativeEntry(words: Uint32Array, at: number, entry: Entry): void {
  words.fill(0, at, at + ENTRY_WORDS);
  putU64(words, at + 4, entry.entryValidSec);
  words[at + 8] = entry.entryValidNs;
}

/** `struct fuse_open_out`, without a backing file. */
export function putOpen(words: Uint32Array, at: number, fh: number, openFlags: number): void {
  putU64(words, at, fh);
  words[at + 2] = openFlags;
  words[at + 3] = 0;
}

/** `struct fuse_kstatfs`. */
export function putStatfs(words: Uint32Array, at: number, out: StatfsRecord): void {
  putU64(words, at, out.blocks);
  putU64(words, at + 2, out.bfree);
  putU64(words, at + 4, out.bavail);
  putU64(words, at + 6, out.files);
  putU64(words, at + 8, out.ffree);
  words[at + 10] = out.bsize;
  words[at + 11] = out.namelen;
  words[at + 12] = out.frsize;
  words.fill(0, at + 13, at + 20);
}

/** Writes `fuse_lk_out` at word `at`. */
export function putLock(words: Uint32Array, at: number, lock: FileLock): void {
  words[at] = lock.startLo;
  words[at + 1] = lock.startHi;
  words[at + 2] = lock.endLo;
  words[at + 3] = lock.endHi;
  words[at + 4] = lock.type;
  words[at + 5] = lock.pid;
}

/** Writes `fuse_statx_out` at word `at`. */
export function putStatxOut(words: Uint32Array, at: number, attr: Attributes, facts: StatxRecord): void {
  words.fill(0, at, at + STATX_OUT_WORDS);
  putU64(words, at, attr.validSec);
  words[at + 2] = attr.validNs;
  const stat = at + STATX;
  words[stat] = facts.mask;
  words[stat + 1] = attr.blksize;
  words[stat + 2] = facts.attributesLo;
  words[stat + 3] = facts.attributesHi;
  words[stat + 4] = attr.nlink;
  words[stat + 5] = attr.uid;
  words[stat + 6] = attr.gid;
  words[stat + 7] = attr.mode & 0xffff;
  words[stat + 8] = attr.inoLo;
  words[stat + 9] = attr.inoHi;
  putU64(words, stat + 10, attr.size);
  putU64(words, stat + 12, attr.blocks);
  words[stat + 14] = facts.attributesMaskLo;
  words[stat + 15] = facts.attributesMaskHi;
  putTime(words, at + SX_ATIME, attr.atime, attr.atimeNs);
  putTime(words, at + SX_BTIME, facts.btime, facts.btimeNs);
  putTime(words, at + SX_CTIME, attr.ctime, attr.ctimeNs);
  putTime(words, at + SX_MTIME, attr.mtime, attr.mtimeNs);
  const devices = stat + FuseStatx.rdevMajor.offset / 4;
  words[devices] = attr.rdevMajor;
  words[devices + 1] = attr.rdevMinor;
  words[devices + 2] = facts.devMajor;
  words[devices + 3] = facts.devMinor;
}

/** `struct fuse_sx_time`. */
function putTime(words: Uint32Array, at: number, seconds: number, ns: number): void {
  putU64(words, at, seconds);
  words[at + 2] = ns;
}
