/** Replies that have a body. */
import { CtrlHdr } from '../protocol/layout.ts';
import type { Request } from './request.ts';

/** Gives a request a reply of `bytes` bytes with its header, all zero; the header is filled in when it is sent. */
export function makeReply(request: Request, bytes: number): DataView {
  const reply = new Uint8Array(Math.max(bytes, CtrlHdr.byteLength));
  request.reply = reply;
  request.replyLength = reply.length;
  return new DataView(reply.buffer);
}
