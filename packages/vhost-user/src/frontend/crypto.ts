/** CREATE_CRYPTO_SESSION and CLOSE_CRYPTO_SESSION (CRYPTO_SESSION). */
import { encodeU64 } from '../protocol/encode.ts';
import { readSession } from './check-reply.ts';
import { type Answer, ask, type RequestPort } from './request-port.ts';
import type { Done } from './sequence.ts';

/** Sessions of a crypto device. The structure that describes one is the device's: its bytes are passed on as they are. */
export class CryptoMessages {
  readonly #port: RequestPort;

  constructor(port: RequestPort) {
    this.#port = port;
  }

  /** @param done - the structure as the back-end returns it, of the same size, with the session's id in it */
  createSession(session: Uint8Array, done: Answer<Uint8Array>): void {
    ask(this.#port, 'CREATE_CRYPTO_SESSION', session, [], readSession(session.length), done);
  }

  /** @param id - a safe integer */
  closeSession(id: number, done: Done): void {
    this.#port.request('CLOSE_CRYPTO_SESSION', encodeU64(id), [], (error) => done(error));
  }
}
