/** Requests on open files: OPEN, READ, WRITE and what belongs to them. */
import { EBADF, EFBIG, EINVAL, ENOENT, ENXIO, EOPNOTSUPP, SEEK_DATA, SEEK_HOLE } from '@oriel/sys';
import { FUSE_FSYNC_FDATASYNC, FUSE_OPEN_KILL_SUIDGID } from '../constants.ts';
import { sumOverflows, takeU64 } from '../fields.ts';
import { FuseFlushIn, FuseWriteIn } from '../layout.ts';
import { BODY_WORD, MAX_IOVEC, type OperationRecord } from '../operation-record.ts';
import { MAX_COUNT, UNSERVED } from '../pending.ts';
import { IN_HEADER, OUT_HEADER } from '../protocol.ts';
import type { ServeContext } from '../serve-context.ts';

const WRITE_DATA = IN_HEADER + FuseWriteIn.byteLength;
/** FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE: what Linux forwards. */
const FALLOCATE_MODES = 0x1 | 0x2 | 0x10;
const FLUSH_OWNER = BODY_WORD + FuseFlushIn.lockOwner.offset / 4;

export function open(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  return context.fs.open(op, op.nodeid, words[BODY_WORD]!, (words[BODY_WORD + 1]! & FUSE_OPEN_KILL_SUIDGID) !== 0);
}

export function read(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  const offset = takeU64(words, BODY_WORD + 2);
  const size = words[BODY_WORD + 4]!;
  if (fh < 0) {
    return -EBADF;
  }
  const message = op.message!;
  // A short answer would mean the end of the file: a request without room for what it asks for is refused.
  if (offset < 0 || size > MAX_COUNT || size > message.writeBytes - OUT_HEADER || sumOverflows(offset, size)) {
    return -EINVAL;
  }
  op.offset = offset;
  op.size = size;
  const count = message.writeIovec(OUT_HEADER, size, op.iov, MAX_IOVEC);
  if (count < 0) {
    return count;
  }
  const io = op.io;
  io.message = message;
  io.base = OUT_HEADER;
  io.count = count;
  io.len = size;
  return context.fs.read(op, op.nodeid, fh, offset, io);
}

export function write(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  const offset = takeU64(words, BODY_WORD + 2);
  const size = words[BODY_WORD + 4]!;
  const message = op.message!;
  if (fh < 0) {
    return -EBADF;
  }
  if (size > MAX_COUNT || size !== message.readBytes - WRITE_DATA) {
    return -EINVAL;
  }
  if (offset < 0 || sumOverflows(offset, size)) {
    return -EFBIG;
  }
  op.offset = offset;
  op.size = size;
  const count = message.readIovec(WRITE_DATA, size, op.iov, MAX_IOVEC);
  if (count < 0) {
    return count;
  }
  const io = op.io;
  io.message = message;
  io.base = WRITE_DATA;
  io.count = count;
  io.len = size;
  return context.fs.write(op, op.nodeid, fh, offset, io, words[BODY_WORD + 8]!, words[BODY_WORD + 5]!);
}

export function flush(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  return fh < 0 ? -EBADF : context.fs.flush(op, op.nodeid, fh, words[FLUSH_OWNER]!, words[FLUSH_OWNER + 1]!);
}

export function release(context: ServeContext, op: OperationRecord): number {
  const fh = takeU64(op.u32, BODY_WORD);
  return fh < 0 ? -EBADF : context.fs.release(op, op.nodeid, fh);
}

export function fsync(context: ServeContext, op: OperationRecord): number {
  const fh = takeU64(op.u32, BODY_WORD);
  if (fh < 0) {
    return -EBADF;
  }
  return context.fs.fsync(op, op.nodeid, fh, (op.u32[BODY_WORD + 2]! & FUSE_FSYNC_FDATASYNC) !== 0);
}

export function fallocate(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  const offset = takeU64(words, BODY_WORD + 2);
  const len = takeU64(words, BODY_WORD + 4);
  const mode = words[BODY_WORD + 6]!;
  if (fh < 0) {
    return -EBADF;
  }
  if (len === 0) {
    return -EINVAL;
  }
  if (offset < 0 || len < 0 || sumOverflows(offset, len)) {
    return -EFBIG;
  }
  if ((mode & ~FALLOCATE_MODES) !== 0) {
    return -EOPNOTSUPP;
  }
  op.offset = offset;
  op.size = len;
  return context.fs.fallocate(op, op.nodeid, fh, offset, len, mode);
}

export function lseek(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  const offset = takeU64(words, BODY_WORD + 2);
  const whence = words[BODY_WORD + 4]!;
  if (fh < 0) {
    return -EBADF;
  }
  if (whence > SEEK_HOLE) {
    return -EINVAL;
  }
  if (offset < 0) {
    // Drivers pass on a negative one as it comes: no file has data there.
    return whence === SEEK_DATA || whence === SEEK_HOLE ? -ENXIO : -EINVAL;
  }
  op.offset = offset;
  return context.fs.lseek(op, op.nodeid, fh, offset, whence);
}

/** COPY_FILE_RANGE and COPY_FILE_RANGE_64: they differ in the reply only. */
export function copyFileRange(context: ServeContext, op: OperationRecord): number {
  if (context.fs.copyFileRange === undefined) {
    return UNSERVED;
  }
  const words = op.u32;
  const fhIn = takeU64(words, BODY_WORD);
  const offIn = takeU64(words, BODY_WORD + 2);
  const nodeidOut = takeU64(words, BODY_WORD + 4);
  const fhOut = takeU64(words, BODY_WORD + 6);
  const offOut = takeU64(words, BODY_WORD + 8);
  const len = takeU64(words, BODY_WORD + 10);
  if (fhIn < 0 || fhOut < 0) {
    return -EBADF;
  }
  if (nodeidOut < 0) {
    return -ENOENT;
  }
  if (offIn < 0 || offOut < 0 || len < 0 || words[BODY_WORD + 12] !== 0 || words[BODY_WORD + 13] !== 0) {
    return -EINVAL;
  }
  if (sumOverflows(offIn, len) || sumOverflows(offOut, len)) {
    return -EFBIG;
  }
  // Copying less is always allowed, and the count must stay below PENDING.
  const size = len > MAX_COUNT ? MAX_COUNT : len;
  op.offset = offOut;
  op.size = size;
  op.targetNodeid = nodeidOut;
  return context.fs.copyFileRange(op, op.nodeid, fhIn, offIn, nodeidOut, fhOut, offOut, size);
}
