/** The requests under way: taking them, answering them, keeping them over a pause. */
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import type { Complaints } from '../complaints.ts';
import { Timelines } from '../fences/timelines.ts';
import { CtrlHdr } from '../protocol/layout.ts';
import {
  CONTROL_QUEUE,
  VIRTIO_GPU_FLAG_FENCE,
  VIRTIO_GPU_FLAG_INFO_RING_IDX,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
} from '../protocol/values.ts';
import type { Answers } from '../survival/answers.ts';
import { Request } from './request.ts';

/** What a reply repeats of the request's flags. */
const FENCE_FLAGS = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;

/** Requests of all queues that were taken and not answered. */
export class Requests {
  readonly #complaints: Complaints;
  readonly #free: Request[] = [];
  readonly #open = new Set<Request>();
  readonly #timelines = new Timelines((request) => this.#send(request));
  readonly #queues: (DeviceQueue | null)[];
  readonly #header = new Uint8Array(CtrlHdr.byteLength);
  readonly #headerView = new DataView(this.#header.buffer);
  /** Where answers are noted until the driver has them; null: nowhere. */
  answers: Answers | null = null;
  /** The queue inside its turn: what is answered there is announced at the end of the turn. */
  #turn: DeviceQueue | null = null;

  constructor(queueCount: number, complaints: Complaints) {
    this.#complaints = complaints;
    this.#queues = new Array<DeviceQueue | null>(queueCount).fill(null);
  }

  /** Requests without an answer. */
  get size(): number {
    return this.#open.size;
  }

  /** The running queue, or null. */
  queue(index: number): DeviceQueue | null {
    return this.#queues[index] ?? null;
  }

  /** A turn of a queue begins: what is answered in it is announced at its end. */
  beginTurn(queue: DeviceQueue): void {
    this.#turn = queue;
  }

  endTurn(queue: DeviceQueue): void {
    this.#turn = null;
    queue.flush();
  }

  /** Makes a request of a chain whose first `length` bytes are at the start of `view`. @param again - as `Request.again` */
  open(chain: Chain, view: DataView, length: number, again = chain.again): Request {
    const request = this.#free.pop() ?? new Request();
    request.begin(chain, view, length);
    request.again = again;
    this.#open.add(request);
    return request;
  }

  /** Heads of the chains of a queue that wait for their answer. */
  heads(index: number): ReadonlySet<number> {
    return new Set([...this.#open].filter(({ queueIndex }) => queueIndex === index).map(({ head }) => head));
  }

  /** The requests without an answer that `wanted` names. */
  *waiting(wanted: (request: Request) => boolean): Iterable<Request> {
    for (const request of [...this.#open]) if (this.#open.has(request) && wanted(request)) yield request;
  }

  /** Puts a fenced request into its timeline: behind those that were taken before it. */
  line(request: Request): void {
    this.#timelines.add(request);
  }

  /** The operation of a request is over, and what it waits for otherwise are fences before it. */
  over(request: Request): void {
    request.over = true;
    if (request.fenced) this.#timelines.advance(request);
    else this.#send(request);
  }

  /** A queue runs. Requests kept over a pause get their chains back; a fresh queue has none. */
  start(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#queues[index] = queue;
    for (const request of this.waiting((r) => r.queueIndex === index && r.chain === null)) {
      const chain = fresh ? null : queue.takeBack(request.head);
      if (chain === null) {
        if (!fresh) this.#complaints.say(`request ${request.head} of queue ${index} was lost in a pause`);
        this.#drop(request);
        continue;
      }
      request.chain = chain;
      // Its answer came during the pause.
      if (request.due) this.#answered(request);
    }
    queue.flush();
  }

  /** A queue stops: what waits is kept. */
  stop(index: number): void {
    const queue = this.#queues[index];
    if (!queue) return;
    for (const request of this.waiting((r) => r.queueIndex === index && r.chain !== null)) {
      request.head = queue.keep(request.chain!);
      request.chain = null;
    }
    queue.flush();
    this.#queues[index] = null;
  }

  /** Forgets all requests: they belong to a driver that is gone. */
  clear(): void {
    this.#timelines.clear();
    for (const request of this.#open) this.#release(request);
    this.#open.clear();
  }

  /** The reply of a request is due. While its queue is stopped, it waits for the next start. */
  #send(request: Request): void {
    request.due = true;
    if (request.chain !== null) this.#answered(request);
  }

  #answered(request: Request): void {
    const { chain, queueIndex } = request;
    const queue = this.#queues[queueIndex]!;
    queue.complete(chain!, this.#write(request, chain!));
    this.#forgetAnswer(request);
    this.#open.delete(request);
    this.#release(request);
    if (this.#turn !== queue) queue.flush();
  }

  /** Writes the reply. @returns its bytes: 0 where the driver left no room */
  #write(request: Request, chain: Chain): number {
    const { writeBytes } = chain;
    if (writeBytes < CtrlHdr.byteLength) return 0;
    let { replyType, replyLength, reply } = request;
    if (replyLength > writeBytes) {
      this.#complaints.say(`a reply of ${replyLength} bytes does not fit into the ${writeBytes} that the driver gave`);
      replyType = VIRTIO_GPU_RESP_ERR_UNSPEC;
      replyLength = CtrlHdr.byteLength;
      reply = null;
    }
    const view = this.#headerView;
    const { fenced } = request;
    CtrlHdr.type.set(view, 0, replyType);
    CtrlHdr.flags.set(view, 0, fenced ? request.flags & FENCE_FLAGS : 0);
    CtrlHdr.fenceId.setParts(view, 0, fenced ? request.fenceLo : 0, fenced ? request.fenceHi : 0);
    CtrlHdr.ctxId.set(view, 0, fenced ? request.ctxId : 0);
    CtrlHdr.ringIdx.set(view, 0, fenced ? request.ringIdx : 0);
    if (chain.write(0, this.#header, 0, this.#header.length) < 0) return 0;
    if (reply === null) return this.#header.length;
    const rest = replyLength - this.#header.length;
    return chain.write(this.#header.length, reply, this.#header.length, rest) < 0 ? 0 : replyLength;
  }

  #drop(request: Request): void {
    this.#forgetAnswer(request);
    this.#open.delete(request);
    if (request.fenced) this.#timelines.remove(request);
    this.#release(request);
  }

  #forgetAnswer({ queueIndex, head }: Request): void {
    if (queueIndex === CONTROL_QUEUE) this.answers?.delivered(head);
  }

  #release(request: Request): void {
    request.end();
    this.#free.push(request);
  }
}
