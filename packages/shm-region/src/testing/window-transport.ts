import { EIO, Fd, type Sys } from '@oriel/sys';
import type { Done } from '../region.ts';
import type { MapTransport, WireMapping } from '../transport.ts';
import type { Window } from '../window.ts';

/** A front-end in the same process: a request is carried out in a window at once, and answered by `answerAll`. */
export class WindowTransport implements MapTransport {
  ready = true;
  readonly #sys: Pick<Sys, 'fd'>;
  readonly #window: Window;
  readonly #answers: (() => void)[] = [];

  constructor(sys: Pick<Sys, 'fd'>, window: Window) {
    this.#sys = sys;
    this.#window = window;
  }

  map(wire: WireMapping, fd: number, done: Done): void {
    // A front-end gets a descriptor of its own, as over a socket.
    const received = this.#sys.fd.dup(fd);
    this.#answer(received < 0 ? received : this.#window.map(wire, new Fd(this.#sys.fd, received)), done);
  }

  unmap(wire: WireMapping, done: Done): void {
    this.#answer(this.#window.unmap(wire), done);
  }

  /** Gives all answers, also to what they cause to be sent. */
  answerAll(): void {
    for (let answer = this.#answers.shift(); answer !== undefined; answer = this.#answers.shift()) {
      answer();
    }
  }

  #answer(result: number, done: Done): void {
    // The message has no errno: a refusal is a refusal.
    this.#answers.push(() => done(result === 0 ? 0 : -EIO));
  }
}
