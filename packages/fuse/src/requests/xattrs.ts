/** Requests on extended attributes. */
import { EINVAL, ENAMETOOLONG, ERANGE } from '@oriel/sys';
import { FUSE_SETXATTR_ACL_KILL_SGID } from '../constants.ts';
import { FUSE_COMPAT_SETXATTR_IN_SIZE, FuseGetxattrIn, FuseSetxattrIn } from '../layout.ts';
import { NAME_MAX } from '../name.ts';
import { BODY_WORD, type OperationRecord } from '../operation-record.ts';
import { UNSERVED } from '../pending.ts';
import { OUT_HEADER, REPLY_COUNT } from '../protocol.ts';
import type { ServeContext } from '../serve-context.ts';

const BODY = BODY_WORD * 4;
/** XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux. */
const XATTR_MAX = 65536;
/** XATTR_CREATE, XATTR_REPLACE. */
const SET_FLAGS = 3;

/** An attribute's name at `at`. xattr(7) calls reject a name over 255 bytes with ERANGE. @returns index behind it, or -errno */
function attributeName(op: OperationRecord, at: number): number {
  const next = op.name.takeText(op.u8, op.addr, at, op.end, NAME_MAX);
  return next === -ENAMETOOLONG ? -ERANGE : next;
}

/** Makes room for a value of `asked` bytes behind the request. @returns the bytes to offer, -EINVAL, or -ENOMEM */
function room(op: OperationRecord, asked: number): number {
  const size = Math.min(asked, op.message!.writeBytes - OUT_HEADER, XATTR_MAX);
  if (asked > 0 && size === 0) {
    return -EINVAL;
  }
  op.dataAt = (op.end + 7) & ~7;
  const error = op.reserve(op.dataAt + size);
  if (error < 0) {
    return error;
  }
  if (asked === 0) {
    // Only the length is asked for: a count, as WRITE's.
    op.reply = REPLY_COUNT;
    return op.message!.writeBytes < OUT_HEADER + 8 ? -EINVAL : 0;
  }
  return size;
}

export function setxattr(context: ServeContext, op: OperationRecord): number {
  if (context.fs.setxattr === undefined) {
    return UNSERVED;
  }
  const words = op.u32;
  const skip = context.setxattrExt ? FuseSetxattrIn.byteLength : FUSE_COMPAT_SETXATTR_IN_SIZE;
  if (op.end - BODY < skip) {
    return -EINVAL;
  }
  const value = attributeName(op, BODY + skip);
  if (value < 0) {
    return value;
  }
  const size = words[BODY_WORD]!;
  const flags = words[BODY_WORD + 1]!;
  if (value + size !== op.end || (flags & ~SET_FLAGS) !== 0) {
    return -EINVAL;
  }
  const killSgid = context.setxattrExt && (words[BODY_WORD + 2]! & FUSE_SETXATTR_ACL_KILL_SGID) !== 0;
  return context.fs.setxattr(op, op.nodeid, op.name, op.addr + value, size, flags, killSgid);
}

export function getxattr(context: ServeContext, op: OperationRecord): number {
  if (context.fs.getxattr === undefined) {
    return UNSERVED;
  }
  const size = room(op, op.u32[BODY_WORD]!);
  if (size < 0) {
    return size;
  }
  // After `room`: it may move the memory in which the name lies.
  const next = attributeName(op, BODY + FuseGetxattrIn.byteLength);
  if (next !== op.end) {
    return next < 0 ? next : -EINVAL;
  }
  return context.fs.getxattr(op, op.nodeid, op.name, op.addr + op.dataAt, size);
}

export function listxattr(context: ServeContext, op: OperationRecord): number {
  if (context.fs.listxattr === undefined) {
    return UNSERVED;
  }
  const size = room(op, op.u32[BODY_WORD]!);
  return size < 0 ? size : context.fs.listxattr(op, op.nodeid, op.addr + op.dataAt, size);
}

export function removexattr(context: ServeContext, op: OperationRecord): number {
  if (context.fs.removexattr === undefined) {
    return UNSERVED;
  }
  const next = attributeName(op, BODY);
  if (next !== op.end) {
    return next < 0 ? next : -EINVAL;
  }
  return context.fs.removexattr(op, op.nodeid, op.name);
}
