/** Requests on inodes: attributes, links' targets, the file system as a whole, lookup counts. */
import { UNSAFE_HI } from '@oriel/layout';
import { EBADF, EFBIG, EINVAL } from '@oriel/sys';
import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_FH,
  FATTR_KILL_SUIDGID,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FUSE_GETATTR_FH,
} from '../constants.ts';
import { takeU64 } from '../fields.ts';
import { FuseBatchForgetIn, FuseForgetOne, FuseSetattrIn } from '../layout.ts';
import { TARGET_MAX } from '../name.ts';
import { BODY_WORD, type OperationRecord, REQUEST } from '../operation-record.ts';
import { UNSERVED } from '../pending.ts';
import { IN_HEADER } from '../protocol.ts';
import type { ServeContext } from '../serve-context.ts';

const NS_PER_SECOND = 1_000_000_000;
const ALL_FATTR = FATTR_KILL_SUIDGID * 2 - 1;
const MTIME_NS = BODY_WORD + FuseSetattrIn.mtimensec.offset / 4;
const ATIME_NS = BODY_WORD + FuseSetattrIn.atimensec.offset / 4;
const MODE = BODY_WORD + FuseSetattrIn.mode.offset / 4;
const UID = BODY_WORD + FuseSetattrIn.uid.offset / 4;

export function getattr(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  if ((words[BODY_WORD]! & FUSE_GETATTR_FH) === 0) {
    return context.fs.getattr(op, op.nodeid, -1);
  }
  const fh = takeU64(words, BODY_WORD + 2);
  return fh < 0 ? -EBADF : context.fs.getattr(op, op.nodeid, fh);
}

/** What the caller asks for beyond all that there is (`sx_mask`) changes nothing: the reply says what it tells. */
export function statx(context: ServeContext, op: OperationRecord): number {
  if (context.fs.statx === undefined) {
    return UNSERVED;
  }
  const words = op.u32;
  if ((words[BODY_WORD]! & FUSE_GETATTR_FH) === 0) {
    return context.fs.statx(op, op.nodeid, -1, op.statx);
  }
  const fh = takeU64(words, BODY_WORD + 2);
  return fh < 0 ? -EBADF : context.fs.statx(op, op.nodeid, fh, op.statx);
}

export function setattr(context: ServeContext, op: OperationRecord): number {
  if (op.intent?.again && op.intent.done) {
    return context.fs.getattr(op, op.nodeid, -1);
  }
  const words = op.u32;
  const change = op.change;
  const valid = words[BODY_WORD]!;
  const hasFh = (valid & FATTR_FH) !== 0;
  const hasSize = (valid & FATTR_SIZE) !== 0;
  const fh = hasFh ? takeU64(words, BODY_WORD + 2) : -1;
  if (hasFh && fh < 0) {
    return -EBADF;
  }
  const size = hasSize ? takeU64(words, BODY_WORD + 4) : 0;
  const atimeNs = words[ATIME_NS]!;
  const mtimeNs = words[MTIME_NS]!;
  // From 10^9 on, utimensat(2) takes the field for a command (UTIME_NOW, UTIME_OMIT).
  if (
    (valid & ~ALL_FATTR) !== 0 ||
    ((valid & FATTR_ATIME) !== 0 && (valid & FATTR_ATIME_NOW) === 0 && atimeNs >= NS_PER_SECOND) ||
    ((valid & FATTR_MTIME) !== 0 && (valid & FATTR_MTIME_NOW) === 0 && mtimeNs >= NS_PER_SECOND)
  ) {
    return -EINVAL;
  }
  if (size < 0) {
    return -EFBIG;
  }
  change.valid = valid;
  change.fh = fh;
  change.size = size;
  change.atimeLo = words[BODY_WORD + 8]!;
  change.atimeHi = words[BODY_WORD + 9]!;
  change.atimeNs = atimeNs;
  change.mtimeLo = words[BODY_WORD + 10]!;
  change.mtimeHi = words[BODY_WORD + 11]!;
  change.mtimeNs = mtimeNs;
  change.mode = words[MODE]!;
  change.uid = words[UID]!;
  change.gid = words[UID + 1]!;
  return context.fs.setattr(op, op.nodeid, change);
}

/** The target is put behind the request, in the operation's memory. */
export function readlink(context: ServeContext, op: OperationRecord): number {
  op.dataAt = REQUEST + IN_HEADER;
  return context.fs.readlink(op, op.nodeid, op.addr + op.dataAt, TARGET_MAX);
}

export function statfs(context: ServeContext, op: OperationRecord): number {
  return context.fs.statfs(op, op.nodeid, op.statfs);
}

export function syncfs(context: ServeContext, op: OperationRecord): number {
  return context.fs.syncfs === undefined ? UNSERVED : context.fs.syncfs(op, op.nodeid);
}

/** A count above 2^53 - 1 is a lie that the Filesystem may saturate: no inode was looked up that often. */
function takeCount(words: Uint32Array, at: number): number {
  return words[at + 1]! >= UNSAFE_HI ? Number.MAX_SAFE_INTEGER : takeU64(words, at);
}

export function forget(context: ServeContext, op: OperationRecord): number {
  context.forget(op.nodeid, takeCount(op.u32, BODY_WORD), op);
  return 0;
}

/** Entries with a nodeid that cannot be are passed over: no answer could say so. */
export function batchForget(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const count = words[BODY_WORD]!;
  const step = FuseForgetOne.byteLength;
  if (count * step !== op.end - REQUEST - IN_HEADER - FuseBatchForgetIn.byteLength) {
    return -EINVAL;
  }
  const first = BODY_WORD + FuseBatchForgetIn.byteLength / 4;
  const { intent } = op;
  for (let index = intent === null ? 0 : intent.progress; index < count; index++) {
    const at = first + (index * step) / 4;
    const nodeid = takeU64(words, at);
    if (nodeid >= 0) {
      context.forget(nodeid, takeCount(words, at + 2), op);
    }
    if (intent !== null) intent.progress = index + 1;
  }
  return 0;
}
