/** A message's request into an operation's private memory: each byte is read once, the copy is checked, the copy is used. */
import { TWO_32, UNSAFE_HI } from '@oriel/layout';
import { E2BIG, EFAULT, EINVAL, EIO, ENOENT } from '@oriel/sys';
import { FUSE_WRITE } from './constants.ts';
import { FuseWriteIn } from './layout.ts';
import type { FuseMessage } from './message.ts';
import { HEADER_WORD, type OperationRecord, REQUEST } from './operation-record.ts';
import { UNSERVED } from './pending.ts';
import * as P from './protocol.ts';

/** Returned when not even an error can be told: no header, or no room for one. */
export const MUTE = 1;
/** Read at once: enough for every request without long names, and for the arguments of WRITE. */
const FIRST = 128;
/** The longest request besides WRITE: a SETXATTR or REMOVEMAPPING of 64 KiB with its names. */
export const REQUEST_MAX = 72 * 1024;

/**
 * Copies and checks the header, then all arguments; the data of a WRITE stays in the message.
 * @returns 0, a negative errno (-UNSERVED for an opcode that is not served), or MUTE
 */
export function fetch(op: OperationRecord, message: FuseMessage): number {
  const readBytes = message.readBytes;
  const first = readBytes < FIRST ? readBytes : FIRST;
  op.opcode = 0;
  op.nodeid = 0;
  op.reply = P.REPLY_UNKNOWN;
  if (first < P.IN_HEADER) {
    return MUTE;
  }
  const whole = message.read(0, op.u8, REQUEST, first) === first;
  // The header may lie in other memory than what follows it.
  if (!whole && message.read(0, op.u8, REQUEST, P.IN_HEADER) !== P.IN_HEADER) {
    return MUTE;
  }
  const words = op.u32;
  const opcode = words[HEADER_WORD + 1]!;
  const reply = P.replyOf(opcode);
  op.opcode = opcode;
  op.reply = reply;
  op.uid = words[HEADER_WORD + 6]!;
  op.gid = words[HEADER_WORD + 7]!;
  op.pid = words[HEADER_WORD + 8]!;
  const writeBytes = message.writeBytes;
  const silent = reply === P.REPLY_SILENT;
  if (writeBytes < P.OUT_HEADER && !silent) {
    return MUTE;
  }
  if (words[HEADER_WORD] !== readBytes) {
    return -EINVAL;
  }
  if (reply === P.REPLY_UNKNOWN) {
    return UNSERVED;
  }
  const nodeidHi = words[HEADER_WORD + 5]!;
  if (nodeidHi >= UNSAFE_HI) {
    return -ENOENT;
  }
  const nodeid = nodeidHi * TWO_32 + words[HEADER_WORD + 4]!;
  const extensions = (words[HEADER_WORD + 9]! & 0xffff) * 8;
  if (!P.lengthFits(opcode, readBytes - P.IN_HEADER, extensions)) {
    return -EINVAL;
  }
  if (!silent && writeBytes < P.OUT_HEADER + P.REPLY_BYTES[reply]!) {
    return -EIO;
  }
  op.nodeid = nodeid;
  op.targetNodeid = nodeid;
  op.extensions = extensions;
  op.end = REQUEST + readBytes - extensions;
  op.fh = 0;
  op.openFlags = 0;
  op.offset = 0;
  op.size = 0;
  op.umask = 0;
  op.supplementaryGroup = -1;
  op.security = null;
  // A hook may have set a flag here for the request that used this operation before.
  op.entry.attr.flags = 0;
  if (!whole) {
    return opcode === FUSE_WRITE ? fetchWrite(op, message) : -EFAULT;
  }
  return readBytes === first || opcode === FUSE_WRITE ? 0 : fetchRest(op, message, first);
}

/** The arguments of a WRITE without its data: whoever writes those finds out whether they can be read. */
function fetchWrite(op: OperationRecord, message: FuseMessage): number {
  const len = FuseWriteIn.byteLength;
  return message.read(P.IN_HEADER, op.u8, REQUEST + P.IN_HEADER, len) === len ? 0 : -EFAULT;
}

function fetchRest(op: OperationRecord, message: FuseMessage, first: number): number {
  const readBytes = message.readBytes;
  if (readBytes > REQUEST_MAX) {
    return -E2BIG;
  }
  const error = op.reserve(REQUEST + readBytes);
  if (error < 0) {
    return error;
  }
  const rest = readBytes - first;
  return message.read(first, op.u8, REQUEST + first, rest) === rest ? 0 : -EFAULT;
}
