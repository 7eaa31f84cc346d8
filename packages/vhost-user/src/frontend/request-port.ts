/** How the modules of the front-end send: requests whose gate is checked, and answers that are read by one reader. */
import { asProtocolError } from '../errors.ts';
import { type Reader, readReply } from './check-reply.ts';
import type { ReplyHandler } from './requester.ts';

/** Called once with the error, or with null and the value. */
export type Answer<T> = (error: Error | null, value?: T) => void;

/** Sends one message of the table. */
export interface RequestPort {
  /**
   * A message whose gate was not negotiated is not sent: ERR_VU_GATE.
   * @param fds - lent for the call
   */
  readonly request: (name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler) => void;
}

export const NO_PAYLOAD = new Uint8Array(0);

/** Sends a message that has a reply of its own, and reads that. */
export function ask<T>(
  port: RequestPort,
  name: string,
  payload: Uint8Array,
  fds: readonly number[],
  read: Reader<T>,
  done: Answer<T>,
): void {
  port.request(name, payload, fds, (error, reply) => {
    if (error !== null || reply === null) {
      done(error);
      return;
    }
    let value: T;
    try {
      value = readReply(reply, name, read);
    } catch (thrown) {
      done(asProtocolError(thrown));
      return;
    }
    done(null, value);
  });
}
