import type { Done } from '../region.ts';
import type { MapTransport, WireMapping } from '../transport.ts';

/** One message as a front-end would see it. */
export interface SentRequest {
  readonly kind: 'map' | 'unmap';
  readonly wire: WireMapping;
  /** Of a map; -1 for an unmap. */
  readonly fd: number;
}

/** A transport that records what is sent and answers only when told to. */
export class MockTransport implements MapTransport {
  ready = true;
  /** Everything sent, in order. */
  readonly sent: SentRequest[] = [];
  /** Most requests that were unanswered at one time. */
  mostInFlight = 0;
  readonly #waiting: { readonly request: SentRequest; readonly done: Done }[] = [];

  /** Sent and not answered, in order. */
  get inFlight(): readonly SentRequest[] {
    return this.#waiting.map(({ request }) => request);
  }

  map(wire: WireMapping, fd: number, done: Done): void {
    this.#send({ kind: 'map', wire, fd }, done);
  }

  unmap(wire: WireMapping, done: Done): void {
    this.#send({ kind: 'unmap', wire, fd: -1 }, done);
  }

  /**
   * Answers the oldest unanswered request.
   * @throws RangeError when there is none
   */
  answer(error = 0): SentRequest {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      throw new RangeError('nothing is in flight');
    }
    waiting.done(error);
    return waiting.request;
  }

  /** Answers 0 until nothing is in flight, also to what the answers cause to be sent. */
  answerAll(): void {
    while (this.#waiting.length > 0) {
      this.answer();
    }
  }

  #send(request: SentRequest, done: Done): void {
    if (!this.ready) {
      throw new RangeError('sent while not ready');
    }
    this.sent.push(request);
    this.#waiting.push({ request, done });
    this.mostInFlight = Math.max(this.mostInFlight, this.#waiting.length);
  }
}
