/** Structures of replies, read back. */
import { TWO_32, type U64Field } from '@oriel/layout';
import type { Attributes } from '../attributes.ts';
import type { Entry } from '../entry.ts';
import * as L from '../layout.ts';
import type { StatfsOut } from '../statfs.ts';
import type { StatxOut } from '../statx.ts';

/** A signed 64-bit number of seconds. */
function seconds(field: U64Field, view: DataView, at: number): number {
  return (field.hi(view, at) | 0) * TWO_32 + field.lo(view, at);
}

/** Reads `struct fuse_attr` at `at` into `attr`, validity excepted. */
export function readAttributes(view: DataView, at: number, attr: Attributes): void {
  attr.inoLo = L.FuseAttr.ino.lo(view, at);
  attr.inoHi = L.FuseAttr.ino.hi(view, at);
  attr.size = L.FuseAttr.size.get(view, at);
  attr.blocks = L.FuseAttr.blocks.get(view, at);
  attr.atime = seconds(L.FuseAttr.atime, view, at);
  attr.mtime = seconds(L.FuseAttr.mtime, view, at);
  attr.ctime = seconds(L.FuseAttr.ctime, view, at);
  attr.atimeNs = L.FuseAttr.atimensec.get(view, at);
  attr.mtimeNs = L.FuseAttr.mtimensec.get(view, at);
  attr.ctimeNs = L.FuseAttr.ctimensec.get(view, at);
  attr.mode = L.FuseAttr.mode.get(view, at);
  attr.nlink = L.FuseAttr.nlink.get(view, at);
  attr.uid = L.FuseAttr.uid.get(view, at);
  attr.gid = L.FuseAttr.gid.get(view, at);
  const rdev = L.FuseAttr.rdev.get(view, at);
  attr.rdevMajor = (rdev >>> 8) & 0xfff;
  attr.rdevMinor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  attr.blksize = L.FuseAttr.blksize.get(view, at);
  attr.flags = L.FuseAttr.flags.get(view, at);
}

/** Reads `struct fuse_entry_out` at `at` into `entry`. */
export function readEntry(view: DataView, at: number, entry: Entry): void {
  entry.nodeid = L.FuseEntryOut.nodeid.get(view, at);
  entry.generation = L.FuseEntryOut.generation.get(view, at);
  entry.entryValidSec = L.FuseEntryOut.entryValid.get(view, at);
  entry.entryValidNs = L.FuseEntryOut.entryValidNsec.get(view, at);
  entry.attr.validSec = L.FuseEntryOut.attrValid.get(view, at);
  entry.attr.validNs = L.FuseEntryOut.attrValidNsec.get(view, at);
  readAttributes(view, at + L.FuseEntryOut.attr.offset, entry.attr);
}

/** Reads `struct fuse_attr_out` at `at` into `attr`. */
export function readAttrOut(view: DataView, at: number, attr: Attributes): void {
  attr.validSec = L.FuseAttrOut.attrValid.get(view, at);
  attr.validNs = L.FuseAttrOut.attrValidNsec.get(view, at);
  readAttributes(view, at + L.FuseAttrOut.attr.offset, attr);
}

/** Reads `struct fuse_kstatfs` at `at`. */
export function readStatfs(view: DataView, at: number): StatfsOut {
  return {
    blocks: L.FuseKstatfs.blocks.get(view, at),
    bfree: L.FuseKstatfs.bfree.get(view, at),
    bavail: L.FuseKstatfs.bavail.get(view, at),
    files: L.FuseKstatfs.files.get(view, at),
    ffree: L.FuseKstatfs.ffree.get(view, at),
    bsize: L.FuseKstatfs.bsize.get(view, at),
    namelen: L.FuseKstatfs.namelen.get(view, at),
    frsize: L.FuseKstatfs.frsize.get(view, at),
  };
}

/** What STATX tells: the attributes, and the facts that others lack. */
export interface StatxReply extends Readonly<StatxOut> {
  readonly attr: Attributes;
}

/** Reads `struct fuse_statx_out` at `at`; the attributes into `attr`. */
export function readStatxOut(view: DataView, at: number, attr: Attributes): StatxReply {
  const stat = at + L.FuseStatxOut.stat.offset;
  const sx = L.FuseStatx;
  const { tvSec, tvNsec } = L.FuseSxTime;
  attr.validSec = L.FuseStatxOut.attrValid.get(view, at);
  attr.validNs = L.FuseStatxOut.attrValidNsec.get(view, at);
  attr.inoLo = sx.ino.lo(view, stat);
  attr.inoHi = sx.ino.hi(view, stat);
  attr.size = sx.size.get(view, stat);
  attr.blocks = sx.blocks.get(view, stat);
  attr.atime = seconds(tvSec, view, stat + sx.atime.offset);
  attr.atimeNs = tvNsec.get(view, stat + sx.atime.offset);
  attr.mtime = seconds(tvSec, view, stat + sx.mtime.offset);
  attr.mtimeNs = tvNsec.get(view, stat + sx.mtime.offset);
  attr.ctime = seconds(tvSec, view, stat + sx.ctime.offset);
  attr.ctimeNs = tvNsec.get(view, stat + sx.ctime.offset);
  attr.mode = sx.mode.get(view, stat);
  attr.nlink = sx.nlink.get(view, stat);
  attr.uid = sx.uid.get(view, stat);
  attr.gid = sx.gid.get(view, stat);
  attr.rdevMajor = sx.rdevMajor.get(view, stat);
  attr.rdevMinor = sx.rdevMinor.get(view, stat);
  attr.blksize = sx.blksize.get(view, stat);
  attr.flags = 0;
  return {
    attr,
    mask: sx.mask.get(view, stat),
    attributesLo: sx.attributes.lo(view, stat),
    attributesHi: sx.attributes.hi(view, stat),
    attributesMaskLo: sx.attributesMask.lo(view, stat),
    attributesMaskHi: sx.attributesMask.hi(view, stat),
    btime: seconds(tvSec, view, stat + sx.btime.offset),
    btimeNs: tvNsec.get(view, stat + sx.btime.offset),
    devMajor: sx.devMajor.get(view, stat),
    devMinor: sx.devMinor.get(view, stat),
  };
}
