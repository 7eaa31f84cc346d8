/** The front-end of a rig: takes mapping requests, and answers them when a test says so. */
import type { WireMapping } from '@oriel/shm-region';
import { type EventLoop, Fd, Mapping, PROT_READ, PROT_WRITE, type Sys } from '@oriel/sys';
import type { TimedTransport } from '@oriel/virtio-device/testing';

export class FrontEnd implements Disposable {
  readonly #sys: Sys;
  readonly #loop: EventLoop;
  readonly #transport: TimedTransport;
  readonly #unanswered: (() => void)[] = [];
  /** What it got to map, by place in the window. */
  readonly #files = new Map<number, Fd>();
  #holding = false;

  /** Takes the place of what `transport` does. */
  constructor(sys: Sys, loop: EventLoop, transport: TimedTransport) {
    this.#sys = sys;
    this.#loop = loop;
    this.#transport = transport;
    transport.map = (request, fd, done) => {
      this.#files.get(request.shmOffset)?.close();
      this.#files.set(request.shmOffset, new Fd(sys.fd, sys.fd.dup(fd)));
      this.#serve('map', request, done);
    };
    transport.unmap = (request, done) => this.#serve('unmap', request, done);
  }

  /** Requests without an answer. */
  get unanswered(): number {
    return this.#unanswered.length;
  }

  /** From now on nothing is answered. */
  hold(): void {
    this.#holding = true;
  }

  /** What is there is answered, in order, and what comes. */
  release(): void {
    this.#holding = false;
    for (const answer of this.#unanswered.splice(0)) this.#loop.defer(answer);
  }

  /** The memory behind a mapping that begins at a place in the window, as the guest has it. */
  memory(shmOffset: number): Mapping {
    const { request } = this.#transport.sent.findLast((one) => one.request.shmOffset === shmOffset)!;
    const { fd } = this.#files.get(shmOffset)!;
    return Mapping.shared(this.#sys.mem, fd, request.len, request.fdOffset, PROT_READ | PROT_WRITE);
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) file.close();
  }

  #serve(kind: 'map' | 'unmap', request: WireMapping, done: (error: number) => void): void {
    const transport = this.#transport;
    if (!transport.ready) throw new RangeError(`${kind} sent while the rings are stopped`);
    transport.sent.push({ kind, request });
    transport.waiting++;
    const answer = (): void => {
      transport.waiting--;
      done(transport.behaviour.answer(kind, request));
    };
    if (this.#holding) this.#unanswered.push(answer);
    else this.#loop.defer(answer);
  }
}
