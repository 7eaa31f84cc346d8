/** Holds a reply to the bytes of its request, whatever they were. */
import {
  FUSE_BATCH_FORGET,
  FUSE_FORGET,
  FUSE_GETXATTR,
  FUSE_INTERRUPT,
  FUSE_LISTXATTR,
  FuseGetxattrIn,
  FuseInHeader,
  FuseOutHeader,
  IN_HEADER,
  OUT_HEADER,
} from '@oriel/fuse';
import { type Asked, ReplyDecoder } from '@oriel/fuse/client';
import type { MemoryMessage } from '@oriel/fuse/testing';
import { must, same } from '../errors.ts';
import type { SentBytes } from './mutation.ts';

/** What `MemoryMessage` fills the room for the reply, and 16 bytes behind it, with. */
const FILL = 0xee;
const CANARY = 16;
const SILENT: ReadonlySet<number> = new Set([FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_INTERRUPT]);

const decoder = new ReplyDecoder();

/** GETXATTR or LISTXATTR of size 0. */
function asksLength(view: DataView): boolean {
  const opcode = FuseInHeader.opcode.get(view, 0);
  const asksAttribute = opcode === FUSE_GETXATTR || opcode === FUSE_LISTXATTR;
  return asksAttribute && view.byteLength >= IN_HEADER + 4 && FuseGetxattrIn.size.get(view, IN_HEADER) === 0;
}

/** What the request was, as the server read it; null without a whole header. */
export function askedBy({ bytes, room }: SentBytes): Asked | null {
  if (bytes.length < IN_HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    opcode: FuseInHeader.opcode.get(view, 0),
    uniqueLo: FuseInHeader.unique.lo(view, 0),
    uniqueHi: FuseInHeader.unique.hi(view, 0),
    room,
    asksLength: asksLength(view),
  };
}

/**
 * Checks a reply: exactly as long as it says, no byte behind the room for it, and where it tells of success with all that
 * its opcode needs. A reply that could not be written has no length.
 * @returns the decoded reply of a request that succeeded; else null
 * @throws SoakError ERR_SOAK_MISMATCH, FuseError
 */
export function checkReply(sent: SentBytes, message: MemoryMessage): ReplyDecoder | null {
  const { reply, written } = message;
  const asked = askedBy(sent);
  for (let at = sent.room; at < sent.room + CANARY; at++) must(reply[at] === FILL, `byte ${at} behind the reply`);
  if (asked === null || SILENT.has(asked.opcode) || sent.room < OUT_HEADER || message.broken) {
    same('bytes of a reply that cannot be', written, 0);
    return null;
  }
  must(written >= OUT_HEADER && written <= sent.room, `a reply of ${written} bytes in room for ${sent.room}`);
  const view = new DataView(reply.buffer, reply.byteOffset);
  same('len', FuseOutHeader.len.get(view, 0), written);
  same('unique, low', FuseOutHeader.unique.lo(view, 0), asked.uniqueLo);
  same('unique, high', FuseOutHeader.unique.hi(view, 0), asked.uniqueHi);
  const error = FuseOutHeader.error.get(view, 0);
  if (error !== 0) {
    must(error < 0 && error > -512, `error ${error}`);
    same('bytes of an error', written, OUT_HEADER);
    return null;
  }
  return decoder.take(asked, reply, written);
}
