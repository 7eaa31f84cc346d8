/** One request of the driver, from its chain to its reply. */
import type { Chain } from '@oriel/virtqueue';
import { CtrlHdr } from '../protocol/layout.ts';
import { VIRTIO_GPU_FLAG_FENCE, VIRTIO_GPU_FLAG_INFO_RING_IDX } from '../protocol/values.ts';
import type { Resource } from '../resources/resource.ts';

/** The global timeline: fences without INFO_RING_IDX. */
export const GLOBAL_RING = -1;
/** What `ring_idx` can say; most of it is refused. */
const RINGS_ON_THE_WIRE = 256;

/** A request that was taken from a queue. Objects are reused: `serial` tells one use from the next. */
export class Request {
  /** Grows with each use; who calls back late compares it. */
  serial = 0;
  /** Null while the queue is stopped: then `head` finds the chain again. */
  chain: Chain | null = null;
  head = 0;
  queueIndex = 0;
  /** The header's fields. */
  type = 0;
  flags = 0;
  fenceLo = 0;
  fenceHi = 0;
  ctxId = 0;
  ringIdx = 0;
  /** A process before had it, and may have carried it out. */
  again = false;
  /** Bytes of the request in the request buffer; of use only while it is handled. */
  length = 0;
  /** What it is about, of one that may be answered late; else null. */
  resource: Resource | null = null;
  /** The reply: its type (0: none yet) and bytes, with room for the header. */
  replyType = 0;
  replyLength: number = CtrlHdr.byteLength;
  reply: Uint8Array | null = null;
  /** The operation is over: only fences before it are waited for. */
  over = false;
  /** Nothing is before it in its timeline: the reply goes as soon as there is a chain. */
  due = false;
  /** The context has it: a SUBMIT_3D that runs, or a fence that is not reached. */
  inContext = false;

  /** The driver wants the reply when all is finished. */
  get fenced(): boolean {
    return (this.flags & VIRTIO_GPU_FLAG_FENCE) !== 0;
  }

  /** The ring of the timeline: 0 to 63 (up to 255 as the driver said it), or GLOBAL_RING. */
  get ring(): number {
    return (this.flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) !== 0 ? this.ringIdx : GLOBAL_RING;
  }

  /** The timeline as one number: 0 for the global one. */
  get timeline(): number {
    const { ring } = this;
    return ring === GLOBAL_RING ? 0 : this.ctxId * RINGS_ON_THE_WIRE + ring + 1;
  }

  /** Begins a use. */
  begin(chain: Chain, view: DataView, length: number): void {
    this.chain = chain;
    this.head = chain.head;
    this.queueIndex = chain.queue.index;
    this.replyType = 0;
    this.replyLength = CtrlHdr.byteLength;
    this.reply = null;
    this.over = false;
    this.due = false;
    this.inContext = false;
    this.read(view, length);
  }

  /** Reads the header of a request whose first `length` bytes are at the start of `view`. */
  read(view: DataView, length: number): void {
    this.length = length;
    const whole = length >= CtrlHdr.byteLength;
    this.type = whole ? CtrlHdr.type.get(view, 0) : 0;
    this.flags = whole ? CtrlHdr.flags.get(view, 0) : 0;
    this.fenceLo = whole ? CtrlHdr.fenceId.lo(view, 0) : 0;
    this.fenceHi = whole ? CtrlHdr.fenceId.hi(view, 0) : 0;
    this.ctxId = whole ? CtrlHdr.ctxId.get(view, 0) : 0;
    this.ringIdx = whole ? CtrlHdr.ringIdx.get(view, 0) : 0;
  }

  /** Ends a use: callbacks that come later find another serial. */
  end(): void {
    this.serial++;
    this.chain = null;
    this.resource = null;
    this.reply = null;
  }
}
