/** A successful result as reply bytes, of exactly the length that the opcode asks for. */
import { EIO } from '@oriel/sys';
import type { Attributes } from './attributes.ts';
import { FUSE_LOOKUP } from './constants.ts';
import {
  ENTRY_WORDS,
  putAttrOut,
  putEntry,
  putLock,
  putNegativeEntry,
  putOpen,
  putStatfs,
  putStatxOut,
  putU64,
} from './encode.ts';
import type { OperationRecord } from './operation-record.ts';
import * as P from './protocol.ts';
import type { ServeContext } from './serve-context.ts';

/** Word at which a reply's body starts. */
export const REPLY_WORD = P.OUT_HEADER / 4;

/**
 * Writes the body of a reply: fixed ones behind the header's place in `op.u32`, data and records into the message.
 * @returns bytes of body that stand behind the header in the end, or -EIO for a result that cannot be told
 */
export function putBody(context: ServeContext, op: OperationRecord, result: number): number {
  const words = op.u32;
  const shape = op.reply;
  switch (shape) {
    case P.REPLY_ATTR:
      amend(context, op.nodeid, op.entry.attr);
      putAttrOut(words, REPLY_WORD, op.entry.attr);
      break;
    case P.REPLY_STATX:
      amend(context, op.nodeid, op.entry.attr);
      putStatxOut(words, REPLY_WORD, op.entry.attr, op.statx);
      break;
    case P.REPLY_ENTRY:
      if (!putEntryOf(context, op)) {
        return -EIO;
      }
      break;
    case P.REPLY_OPEN:
      putOpen(words, REPLY_WORD, op.fh, op.openFlags);
      break;
    case P.REPLY_CREATE:
      if (!putEntryOf(context, op)) {
        return -EIO;
      }
      putOpen(words, REPLY_WORD + ENTRY_WORDS, op.fh, op.openFlags);
      break;
    case P.REPLY_COUNT:
    case P.REPLY_COUNT64:
      words[REPLY_WORD] = result;
      words[REPLY_WORD + 1] = 0;
      break;
    case P.REPLY_STATFS:
      putStatfs(words, REPLY_WORD, op.statfs);
      break;
    case P.REPLY_LOCK:
      putLock(words, REPLY_WORD, op.lock);
      break;
    case P.REPLY_OFFSET:
      putU64(words, REPLY_WORD, op.offset);
      break;
    case P.REPLY_IN_PLACE:
      return result <= op.size ? result : -EIO;
    case P.REPLY_DATA:
      return putData(op, op.u8, op.dataAt, result);
    case P.REPLY_IOCTL:
      return putData(op, op.u8, op.dataAt, P.REPLY_BYTES[P.REPLY_IOCTL]! + result);
    case P.REPLY_RECORDS: {
      const records = op.records!;
      return putData(op, records.u8, records.start, records.used);
    }
    case P.REPLY_INIT:
      // Written when the session was agreed; an older form may be shorter.
      return result;
    default:
      return 0;
  }
  return P.REPLY_BYTES[shape]!;
}

/** Lets the hook correct an attribute record. */
function amend(context: ServeContext, nodeid: number, attr: Attributes): void {
  if (context.hooks.attributes !== undefined) {
    context.hooks.attributes(nodeid, attr, false);
  }
}

/** False: the Filesystem gave no nodeid where one is required. */
function putEntryOf(context: ServeContext, op: OperationRecord): boolean {
  const entry = op.entry;
  if (entry.nodeid === 0) {
    if (op.opcode !== FUSE_LOOKUP) {
      return false;
    }
    putNegativeEntry(op.u32, REPLY_WORD, entry);
    return true;
  }
  amend(context, entry.nodeid, entry.attr);
  putEntry(op.u32, REPLY_WORD, entry);
  return true;
}

function putData(op: OperationRecord, from: Uint8Array, at: number, len: number): number {
  if (len === 0) {
    return 0;
  }
  return op.message!.write(P.OUT_HEADER, from, at, len) === len ? len : -EIO;
}
