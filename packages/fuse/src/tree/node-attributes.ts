/** The attributes of a node of a tree: to the driver, and from it. */
import { S_IFMT, S_ISGID, S_ISUID, S_IXGRP } from '@oriel/sys';
import type { Attributes } from '../attributes.ts';
import * as C from '../constants.ts';
import type { SetAttr } from '../set-attr.ts';
import type { TreeNode } from './tree-node.ts';

const BLOCK = 512;

/** @param size - bytes */
export function fillAttributes(attr: Attributes, node: TreeNode, ino: number, size: number): void {
  attr.inoLo = ino >>> 0;
  attr.inoHi = Math.floor(ino / 2 ** 32);
  attr.size = size;
  attr.blocks = Math.ceil(size / BLOCK);
  attr.atime = node.atime;
  attr.atimeNs = node.atimeNs;
  attr.mtime = node.mtime;
  attr.mtimeNs = node.mtimeNs;
  attr.ctime = node.ctime;
  attr.ctimeNs = node.ctimeNs;
  attr.mode = node.mode;
  attr.nlink = node.nlink;
  attr.uid = node.uid;
  attr.gid = node.gid;
  attr.rdevMajor = (node.rdev >>> 8) & 0xfff;
  attr.rdevMinor = (node.rdev & 0xff) | ((node.rdev >>> 12) & 0xfff00);
  attr.blksize = 4096;
  attr.flags = 0;
}

/** Does all that a SETATTR asks for, besides the size. */
export function changeNode(node: TreeNode, change: SetAttr): void {
  const { valid } = change;
  node.touch((valid & C.FATTR_SIZE) !== 0);
  if ((valid & C.FATTR_MODE) !== 0) node.mode = (node.mode & S_IFMT) | (change.mode & ~S_IFMT);
  if ((valid & C.FATTR_UID) !== 0) node.uid = change.uid;
  if ((valid & C.FATTR_GID) !== 0) node.gid = change.gid;
  if ((valid & C.FATTR_KILL_SUIDGID) !== 0) killSuidgid(node);
  if ((valid & C.FATTR_ATIME) !== 0) {
    const now = (valid & C.FATTR_ATIME_NOW) !== 0;
    node.atime = now ? node.ctime : seconds(change.atimeLo, change.atimeHi);
    node.atimeNs = now ? node.ctimeNs : change.atimeNs;
  }
  if ((valid & C.FATTR_MTIME) !== 0) {
    const now = (valid & C.FATTR_MTIME_NOW) !== 0;
    node.mtime = now ? node.ctime : seconds(change.mtimeLo, change.mtimeHi);
    node.mtimeNs = now ? node.ctimeNs : change.mtimeNs;
  }
}

/** Drops the set-id bits, as a write by another user does. */
export function killSuidgid(node: TreeNode): void {
  node.mode &= (node.mode & S_IXGRP) !== 0 ? ~(S_ISUID | S_ISGID) : ~S_ISUID;
}

/** A signed count of seconds from two words. */
function seconds(lo: number, hi: number): number {
  return (hi | 0) * 0x1_0000_0000 + lo;
}
