/** Requests on names: LOOKUP, the creating ones, UNLINK, RMDIR, RENAME, LINK. Each checks its fields, then calls the Filesystem. */
import { UNSAFE_HI } from '@oriel/layout';
import { EINVAL, ENOENT } from '@oriel/sys';
import { FUSE_OPEN_KILL_SUIDGID } from '../constants.ts';
import { takeExtensions } from '../extensions.ts';
import { takeU64 } from '../fields.ts';
import { FuseCreateIn, FuseLinkIn, FuseMkdirIn, FuseMknodIn, FuseRename2In, FuseRenameIn } from '../layout.ts';
import { TARGET_MAX } from '../name.ts';
import { BODY_WORD, type OperationRecord } from '../operation-record.ts';
import { UNSERVED } from '../pending.ts';
import type { ServeContext } from '../serve-context.ts';

const BODY = BODY_WORD * 4;
const S_IFMT = 0o170000;
/** RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. */
const RENAME_FLAGS = 7;

/** The one name that ends the request, `skip` bytes into the body. */
function lastName(op: OperationRecord, skip: number): number {
  const next = op.name.takeEntry(op.u8, op.addr, BODY + skip, op.end);
  return next < 0 ? next : next === op.end ? 0 : -EINVAL;
}

/** Two names one behind the other, to the end. */
function lastNames(op: OperationRecord, skip: number): number {
  const next = op.name.takeEntry(op.u8, op.addr, BODY + skip, op.end);
  if (next < 0) {
    return next;
  }
  const end = op.name2.takeEntry(op.u8, op.addr, next, op.end);
  return end < 0 ? end : end === op.end ? 0 : -EINVAL;
}

/** The one name of a creating request, and its extensions. */
function newName(context: ServeContext, op: OperationRecord, skip: number): number {
  const error = lastName(op, skip);
  return error < 0 ? error : takeExtensions(op, context.securityContexts);
}

export function lookup(context: ServeContext, op: OperationRecord): number {
  const error = lastName(op, 0);
  return error < 0 ? error : context.fs.lookup(op, op.nodeid, op.name);
}

export function symlink(context: ServeContext, op: OperationRecord): number {
  const next = op.name.takeEntry(op.u8, op.addr, BODY, op.end);
  if (next < 0) {
    return next;
  }
  const end = op.name2.takeText(op.u8, op.addr, next, op.end, TARGET_MAX);
  if (end !== op.end) {
    return end < 0 ? end : -EINVAL;
  }
  const error = takeExtensions(op, context.securityContexts);
  return error < 0 ? error : context.fs.symlink(op, op.nodeid, op.name, op.name2);
}

export function mknod(context: ServeContext, op: OperationRecord): number {
  const error = newName(context, op, FuseMknodIn.byteLength);
  if (error < 0) {
    return error;
  }
  const words = op.u32;
  op.umask = words[BODY_WORD + 2]! & 0o777;
  return context.fs.mknod(op, op.nodeid, op.name, words[BODY_WORD]!, words[BODY_WORD + 1]!);
}

export function mkdir(context: ServeContext, op: OperationRecord): number {
  const error = newName(context, op, FuseMkdirIn.byteLength);
  if (error < 0) {
    return error;
  }
  const words = op.u32;
  op.umask = words[BODY_WORD + 1]! & 0o777;
  return context.fs.mkdir(op, op.nodeid, op.name, words[BODY_WORD]! & ~S_IFMT);
}

export function create(context: ServeContext, op: OperationRecord): number {
  const error = newName(context, op, FuseCreateIn.byteLength);
  if (error < 0) {
    return error;
  }
  const words = op.u32;
  op.umask = words[BODY_WORD + 2]! & 0o777;
  const kill = (words[BODY_WORD + 3]! & FUSE_OPEN_KILL_SUIDGID) !== 0;
  return context.fs.create(op, op.nodeid, op.name, words[BODY_WORD]!, words[BODY_WORD + 1]!, kill);
}

/** The name of a TMPFILE means nothing ("/" from Linux) and is not looked at. */
export function tmpfile(context: ServeContext, op: OperationRecord): number {
  if (context.fs.tmpfile === undefined) {
    return UNSERVED;
  }
  const at = BODY + FuseCreateIn.byteLength;
  if (op.end > at && op.u8[op.end - 1] !== 0) {
    return -EINVAL;
  }
  const error = takeExtensions(op, context.securityContexts);
  if (error < 0) {
    return error;
  }
  const words = op.u32;
  op.umask = words[BODY_WORD + 2]! & 0o777;
  return context.fs.tmpfile(op, op.nodeid, words[BODY_WORD]!, words[BODY_WORD + 1]!);
}

export function unlink(context: ServeContext, op: OperationRecord): number {
  const error = lastName(op, 0);
  return error < 0 ? error : context.fs.unlink(op, op.nodeid, op.name);
}

export function rmdir(context: ServeContext, op: OperationRecord): number {
  const error = lastName(op, 0);
  return error < 0 ? error : context.fs.rmdir(op, op.nodeid, op.name);
}

export function rename(context: ServeContext, op: OperationRecord): number {
  return renameFrom(context, op, FuseRenameIn.byteLength, 0);
}

export function rename2(context: ServeContext, op: OperationRecord): number {
  return renameFrom(context, op, FuseRename2In.byteLength, op.u32[BODY_WORD + 2]!);
}

function renameFrom(context: ServeContext, op: OperationRecord, skip: number, flags: number): number {
  if ((flags & ~RENAME_FLAGS) !== 0) {
    return -EINVAL;
  }
  if (op.u32[BODY_WORD + 1]! >= UNSAFE_HI) {
    return -ENOENT;
  }
  const error = lastNames(op, skip);
  if (error < 0) {
    return error;
  }
  return context.fs.rename(op, op.nodeid, op.name, takeU64(op.u32, BODY_WORD), op.name2, flags);
}

export function link(context: ServeContext, op: OperationRecord): number {
  const old = takeU64(op.u32, BODY_WORD);
  if (old < 0) {
    return -ENOENT;
  }
  const error = lastName(op, FuseLinkIn.byteLength);
  return error < 0 ? error : context.fs.link(op, old, op.nodeid, op.name);
}
