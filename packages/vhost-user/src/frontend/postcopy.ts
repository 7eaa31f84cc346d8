/** POSTCOPY_ADVISE, POSTCOPY_LISTEN, POSTCOPY_END (PAGEFAULT). */
import type { Fd } from '@oriel/sys';
import { readAck, readOneFd } from './check-reply.ts';
import { type Answer, ask, NO_PAYLOAD, type RequestPort } from './request-port.ts';
import type { Done } from './sequence.ts';

/** The incoming side of a postcopy migration. Page faults are the caller's: this gets it the userfaultfd. */
export class PostcopyMessages {
  readonly #port: RequestPort;
  #listening = false;

  constructor(port: RequestPort) {
    this.#port = port;
  }

  /** From `listen` to `end` memory messages have replies of their own, which are not served: they are refused here. */
  get listening(): boolean {
    return this.#listening;
  }

  /** @param done - the back-end's userfaultfd, given away */
  advise(done: Answer<Fd>): void {
    ask(this.#port, 'POSTCOPY_ADVISE', NO_PAYLOAD, [], readOneFd, done);
  }

  /** The back-end registers its memory with the userfaultfd from now on. */
  listen(done: Done): void {
    this.#port.request('POSTCOPY_LISTEN', NO_PAYLOAD, [], (error) => {
      this.#listening = error === null;
      done(error);
    });
  }

  end(done: Done): void {
    ask(this.#port, 'POSTCOPY_END', NO_PAYLOAD, [], readAck, (error) => {
      this.#listening &&= error !== null;
      done(error);
    });
  }
}
