/** Requests on open directories. */
import { EBADF, EINVAL } from '@oriel/sys';
import { FUSE_FSYNC_FDATASYNC, FUSE_READDIRPLUS } from '../constants.ts';
import { DirRecords } from '../dir-records.ts';
import { takeU64 } from '../fields.ts';
import { BODY_WORD, type OperationRecord, REQUEST } from '../operation-record.ts';
import { OUT_HEADER } from '../protocol.ts';
import type { ServeContext } from '../serve-context.ts';

/** Room for records in the operation's own memory, behind the longest READDIR request. */
const OWN_ROOM = REQUEST + 128;

export function opendir(context: ServeContext, op: OperationRecord): number {
  return context.fs.opendir(op, op.nodeid, op.u32[BODY_WORD]!);
}

/** READDIR and READDIRPLUS. Fewer bytes than asked for are always allowed. */
export function readdir(context: ServeContext, op: OperationRecord): number {
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  const room = op.message!.writeBytes - OUT_HEADER;
  const size = words[BODY_WORD + 4]!;
  if (fh < 0) {
    return -EBADF;
  }
  if (size > room) {
    return -EINVAL;
  }
  op.records ??= new DirRecords(context);
  const records = op.records;
  const plus = op.opcode === FUSE_READDIRPLUS;
  records.buffer = context.buffers.take();
  if (records.buffer === null) {
    records.begin(op.u8, op.u32, OWN_ROOM, Math.min(size, op.capacity - OWN_ROOM), plus);
  } else {
    const { u8, u32 } = records.buffer;
    records.begin(u8, u32, 0, Math.min(size, u8.length), plus);
  }
  return context.fs.readdir(op, op.nodeid, fh, words[BODY_WORD + 2]!, words[BODY_WORD + 3]!, records, plus);
}

export function releasedir(context: ServeContext, op: OperationRecord): number {
  const fh = takeU64(op.u32, BODY_WORD);
  return fh < 0 ? -EBADF : context.fs.releasedir(op, op.nodeid, fh);
}

export function fsyncdir(context: ServeContext, op: OperationRecord): number {
  const fh = takeU64(op.u32, BODY_WORD);
  if (fh < 0) {
    return -EBADF;
  }
  return context.fs.fsyncdir(op, op.nodeid, fh, (op.u32[BODY_WORD + 2]! & FUSE_FSYNC_FDATASYNC) !== 0);
}
