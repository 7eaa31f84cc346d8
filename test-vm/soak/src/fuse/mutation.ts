/** Breaks a request that was good. */

import { FUSE_MKNOD, FUSE_SYNCFS, IN_HEADER } from '@oriel/fuse';
import type { RequestEncoder } from '@oriel/fuse/client';
import type { Xorshift } from '../random.ts';

/** A request as it is sent. */
export interface SentBytes {
  readonly bytes: Uint8Array;
  /** Room for the reply. */
  readonly room: number;
}

const MOST_ROOM = 1 << 20;
/** `fuse_mknod_in.rdev` behind the header. */
const RDEV_AT = IN_HEADER + 4;
const NULL_DEVICE = 0x103;
const WORDS = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x20_0000, 4096];

/** The request as it was encoded. */
export function intact(encoder: RequestEncoder, data: Uint8Array | undefined): SentBytes {
  const bytes = new Uint8Array(encoder.len + (data?.length ?? 0));
  bytes.set(encoder.bytes.subarray(0, encoder.len));
  if (data !== undefined) bytes.set(data, encoder.len);
  return { bytes, room: encoder.room };
}

/** The request with one to three things wrong with it. */
export function mutated({ bytes, room }: SentBytes, random: Xorshift): SentBytes {
  let sent: SentBytes = { bytes: bytes.slice(), room };
  for (let times = random.from(1, 3); times > 0; times--) sent = once(sent, random);
  return harmless(sent);
}

function once({ bytes, room }: SentBytes, random: Xorshift): SentBytes {
  const view = new DataView(bytes.buffer);
  switch (random.below(9)) {
    case 0:
      return { bytes: resized(bytes, random.below(bytes.length + 1), random), room };
    case 1:
      return { bytes: resized(bytes, bytes.length + random.from(1, 200), random), room };
    case 2:
      if (bytes.length >= 8) view.setUint32(4, random.pick([...Array(60).keys(), 4096, random.u32()]), true);
      return { bytes, room };
    case 3:
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.u32();
      return { bytes, room };
    case 4:
    case 5:
      if (bytes.length >= 4) view.setUint32(4 * random.below(bytes.length >> 2), random.pick(WORDS), true);
      return { bytes, room };
    case 6:
      if (bytes.length > IN_HEADER) random.fill(bytes.subarray(IN_HEADER, IN_HEADER + 64));
      return { bytes, room };
    case 7:
      // total_extlen, in eighths.
      if (bytes.length >= IN_HEADER) view.setUint16(36, random.pick([1, 2, 3, 100, 0xffff]), true);
      return { bytes, room };
    default:
      return { bytes, room: random.pick([0, 1, 15, 16, 17, 24, room - 1, room + 8, random.below(MOST_ROOM)]) };
  }
}

/** Cut or lengthened; its header may know. */
function resized(bytes: Uint8Array, size: number, random: Xorshift): Uint8Array {
  const other = new Uint8Array(size);
  other.set(bytes.subarray(0, size));
  if (size >= 4 && random.once(2)) new DataView(other.buffer).setUint32(0, size, true);
  return other;
}

/** Random bytes must make no device node that anything could open, and not flush the disks of the whole machine. */
function harmless({ bytes, room }: SentBytes): SentBytes {
  const view = new DataView(bytes.buffer);
  if (bytes.length >= 8 && view.getUint32(4, true) === FUSE_SYNCFS) view.setUint32(4, 0, true);
  const makesNode = bytes.length >= RDEV_AT + 4 && view.getUint32(4, true) === FUSE_MKNOD;
  if (makesNode) view.setUint32(RDEV_AT, NULL_DEVICE, true);
  return { bytes, room: Math.min(Math.max(room, 0), MOST_ROOM) };
}
