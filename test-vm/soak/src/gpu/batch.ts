/** Commands in the ring of one device, many at a time, and what came back. */
import * as G from '@oriel/gpu-blob';
import { decodeReply, replySize } from '@oriel/gpu-blob/testing';
import type { GuestQueue, PendingChain } from '@oriel/test-vm-loopback';
import { SoakError } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import { RequestView } from './request-view.ts';
import { UNSPEC, type Verdict } from './verdict.ts';

const { CtrlHdr } = G;
const HEADER = CtrlHdr.byteLength;
const FENCE_FLAGS = G.VIRTIO_GPU_FLAG_FENCE | G.VIRTIO_GPU_FLAG_INFO_RING_IDX;
const MOST_PIECES = 4;
const WORD = 4;
/** Behind type and flags: fence, context and ring. */
const FENCE_AT = 8;
const FENCE_END = 21;

/** A command that was sent. */
export class Sent {
  readonly request: RequestView;
  /** For the reply, bytes. */
  readonly room: number;
  /** What the device must decide, known when the command was sent; null: see `judge`. */
  known: number | null = null;
  readonly #queue: GuestQueue;
  readonly #chain: PendingChain;

  /** Cuts the command anywhere. */
  constructor(queue: GuestQueue, bytes: Uint8Array, room: number, random: Xorshift) {
    this.request = new RequestView(bytes);
    this.room = room;
    this.#queue = queue;
    this.#chain = queue.request(pieces(bytes, random), room === 0 ? [] : [room]);
  }

  get done(): boolean {
    return this.#chain.done;
  }

  /** Takes the reply's bytes, and gives the memory back. */
  take(): Uint8Array {
    return this.#queue.take(this.#chain);
  }

  /** Holds the reply against what it may be, and gives the verdict what the device decided. @throws SoakError ERR_SOAK_MISMATCH */
  judge(verdict: Verdict): void {
    const reply = this.take();
    const right = this.known === null ? verdict.allowed : [this.known];
    if (this.room < HEADER) {
      this.#must(reply.length === 0, `${reply.length} bytes in a room of ${this.room}`);
      verdict.apply(right[0]!);
      return;
    }
    const { type } = decodeReply(reply);
    const status = right.find((allowed) => this.#shown(allowed) === type);
    this.#must(status !== undefined, `0x${type.toString(16)} instead of ${right.map((one) => one.toString(16))}`);
    this.#checkFence(reply);
    verdict.apply(status!);
  }

  /** A reply that does not fit is an error. */
  #shown(status: number): number {
    return length(status) > this.room ? UNSPEC : status;
  }

  #checkFence(reply: Uint8Array): void {
    const { fenced, bytes } = this.request;
    const [got, asked] = [new RequestView(reply), this.request];
    if (!fenced) {
      this.#must(
        got.bytes.subarray(WORD, HEADER).every((byte) => byte === 0),
        'a fence that nobody asked for',
      );
      return;
    }
    const same = got.bytes.subarray(FENCE_AT, FENCE_END).every((byte, index) => byte === bytes[FENCE_AT + index]);
    const flags = got.get(CtrlHdr.flags) === (asked.get(CtrlHdr.flags) & FENCE_FLAGS);
    this.#must(same && flags, 'a fence that is not the one asked for');
  }

  #must(holds: boolean, what: string): void {
    if (holds) return;
    const bytes = Buffer.from(this.request.bytes.subarray(0, 160)).toString('hex');
    throw new SoakError('ERR_SOAK_MISMATCH', `command ${bytes}: ${what}`);
  }
}

/** Bytes of a reply by its type. */
function length(status: number): number {
  return REPLY_LENGTHS.get(status) ?? HEADER;
}

/** Replies with a body, and the commands that they are for. */
const REPLY_LENGTHS: ReadonlyMap<number, number> = new Map([
  [G.VIRTIO_GPU_RESP_OK_DISPLAY_INFO, replySize(G.VIRTIO_GPU_CMD_GET_DISPLAY_INFO)],
  [G.VIRTIO_GPU_RESP_OK_CAPSET_INFO, replySize(G.VIRTIO_GPU_CMD_GET_CAPSET_INFO)],
  [G.VIRTIO_GPU_RESP_OK_CAPSET, replySize(G.VIRTIO_GPU_CMD_GET_CAPSET, G.MemoryCapset.byteLength)],
  [G.VIRTIO_GPU_RESP_OK_EDID, replySize(G.VIRTIO_GPU_CMD_GET_EDID)],
  [G.VIRTIO_GPU_RESP_OK_RESOURCE_UUID, replySize(G.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID)],
  [G.VIRTIO_GPU_RESP_OK_MAP_INFO, replySize(G.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB)],
]);
/** Enough for any reply. */
export const FULL_ROOM = Math.max(...REPLY_LENGTHS.values());
/** Enough for some, or for none. */
export const ROOMS: readonly number[] = [0, 1, HEADER - 1, HEADER, HEADER + 8, 40, FULL_ROOM + 1];

function pieces(bytes: Uint8Array, random: Xorshift): Uint8Array[] {
  if (bytes.length === 0) return [];
  if (!random.once(4)) return [bytes];
  const cuts = Array.from({ length: random.below(MOST_PIECES) }, () => random.from(1, bytes.length));
  const ends = [...new Set([...cuts, bytes.length])].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}
