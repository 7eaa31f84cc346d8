/** A front-end's side of a shared memory region that answers by itself: late, or with a refusal, as a test wants it. */
import type { MapTransport, WireMapping } from '@oriel/shm-region';
import type { EventLoop } from '@oriel/sys';

/** How the transport answers; may be changed at any time. */
export interface TransportBehaviour {
  /** ms until an answer; 0: in the loop's next turn. */
  delayMs: number;
  /** The answer to a request: 0, or a negative errno. */
  answer: (kind: 'map' | 'unmap', request: WireMapping) => number;
}

/** Records what is sent and answers on the loop. */
export class TimedTransport implements MapTransport {
  ready = false;
  readonly behaviour: TransportBehaviour = { delayMs: 0, answer: () => 0 };
  /** Everything sent, in order. */
  readonly sent: { readonly kind: 'map' | 'unmap'; readonly request: WireMapping }[] = [];
  /** Requests without an answer yet. */
  waiting = 0;
  readonly #loop: EventLoop;

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  map(request: WireMapping, _fd: number, done: (error: number) => void): void {
    this.#send('map', request, done);
  }

  unmap(request: WireMapping, done: (error: number) => void): void {
    this.#send('unmap', request, done);
  }

  #send(kind: 'map' | 'unmap', request: WireMapping, done: (error: number) => void): void {
    if (!this.ready) {
      throw new RangeError(`${kind} sent while the rings are stopped`);
    }
    this.sent.push({ kind, request });
    this.waiting++;
    const answer = (): void => {
      this.waiting--;
      done(this.behaviour.answer(kind, request));
    };
    if (this.behaviour.delayMs > 0) {
      this.#loop.timer(this.behaviour.delayMs, answer);
    } else {
      this.#loop.defer(answer);
    }
  }
}
