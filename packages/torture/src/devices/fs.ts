/** virtio-fs (VIRTIO 1.3, 5.11; linux/fuse.h). */
import {
  FUSE_INIT,
  FUSE_LOOKUP,
  FUSE_READ,
  FUSE_WRITE,
  FuseInHeader,
  FuseInitIn,
  FuseInitOut,
  FuseOutHeader,
} from '@oriel/fuse';
import { type DeviceLie, type KnownDevice, viewOf } from './device.ts';

const SOURCE = 'linux/fuse.h, fuse_in_header';
const UNIQUE = 2;
const REPLY = FuseOutHeader.byteLength + FuseInitOut.byteLength;
const ROOT = 1;

/** @param len - what the header says */
function request(opcode: number, body: Uint8Array, len = FuseInHeader.byteLength + body.length): Uint8Array {
  const bytes = new Uint8Array(FuseInHeader.byteLength + body.length);
  const view = viewOf(bytes);
  FuseInHeader.len.set(view, 0, len);
  FuseInHeader.opcode.set(view, 0, opcode);
  FuseInHeader.unique.set(view, 0, UNIQUE);
  FuseInHeader.nodeid.set(view, 0, ROOT);
  bytes.set(body, FuseInHeader.byteLength);
  return bytes;
}

function init(): Uint8Array {
  const body = new Uint8Array(FuseInitIn.byteLength);
  FuseInitIn.major.set(viewOf(body), 0, 7);
  FuseInitIn.minor.set(viewOf(body), 0, 38);
  return body;
}

function lie(
  id: string,
  what: string,
  readable: readonly Uint8Array[],
  writable: readonly number[] = [REPLY],
): DeviceLie {
  return { id, source: SOURCE, what, readable, writable };
}

const name = new TextEncoder().encode('x\0');

/** The device as the suite knows it. */
export const fs: KnownDevice = {
  name: 'fs',
  queue: 1,
  honest: { readable: [request(FUSE_INIT, init())], writable: [REPLY] },
  check({ bytes, len }) {
    const view = viewOf(bytes);
    if (len < FuseOutHeader.byteLength) return `a reply of ${len} bytes to FUSE_INIT`;
    if (FuseOutHeader.unique.lo(view, 0) !== UNIQUE) return 'the reply to FUSE_INIT has another unique';
    const error = FuseOutHeader.error.get(view, 0);
    return error === 0 ? null : `error ${error} for FUSE_INIT`;
  },
  refusal({ bytes, len }) {
    if (len < FuseOutHeader.byteLength) return len === 0 ? 'returned the chain without a reply' : null;
    const error = FuseOutHeader.error.get(viewOf(bytes), 0);
    return error === 0 ? null : `error ${error}`;
  },
  lies: [
    lie('len-long', 'a length beyond the chain', [request(FUSE_INIT, init(), 0x10_0000)]),
    lie('len-max', 'a length of 2^32 - 1', [request(FUSE_INIT, init(), 0xffff_ffff)]),
    lie('len-short', 'a length shorter than the header', [request(FUSE_INIT, init(), 8)]),
    lie('len-zero', 'a length of 0', [request(FUSE_INIT, init(), 0)]),
    lie('header-cut', 'a header that is cut', [request(FUSE_INIT, init()).subarray(0, 20)]),
    lie('body-cut', 'a FUSE_INIT without its body', [request(FUSE_INIT, new Uint8Array(0))]),
    lie('opcode-unknown', 'an operation that there is not', [request(0x7fff_0000, new Uint8Array(64))]),
    lie('no-reply-room', 'FUSE_LOOKUP with no room for a reply', [request(FUSE_LOOKUP, name)], []),
    lie('reply-room-cut', 'FUSE_LOOKUP with room for half a reply header', [request(FUSE_LOOKUP, name)], [8]),
    lie('name-open', 'FUSE_LOOKUP of a name without its NUL', [request(FUSE_LOOKUP, name.subarray(0, 1))]),
    lie('name-parent', 'FUSE_LOOKUP of ../', [request(FUSE_LOOKUP, new TextEncoder().encode('../\0'))]),
    lie('read-max', 'FUSE_READ of 2^32 - 1 bytes', [request(FUSE_READ, new Uint8Array(40).fill(0xff))]),
    lie('write-short', 'FUSE_WRITE whose size is beyond its data', [
      request(FUSE_WRITE, new Uint8Array(40).fill(0xff)),
    ]),
    lie('no-header', 'no readable buffer', []),
  ],
};
