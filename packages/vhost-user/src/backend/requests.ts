/** How the modules of the back-end plug into the connection. */
import type { Fd } from '@oriel/sys';
import type { IncomingMessage } from '../message-reader.ts';
import type { FrontendMessageName } from '../protocol/messages.ts';

/** A reply that bears a descriptor, which is closed once it is sent. */
export interface ReplyWithFd {
  readonly payload: Uint8Array;
  readonly fd: Fd;
}

type Outcome = { readonly payload: Uint8Array | null } | { readonly error: unknown };

/** An answer that comes later. The main channel reads nothing until it is there: answers keep the order of the questions. */
export class PendingAnswer {
  #outcome: Outcome | null = null;
  #told: ((outcome: Outcome) => void) | null = null;

  /** The payload of the reply, or null for an ack. Only the first answer counts. */
  give(payload: Uint8Array | null): void {
    this.#settle({ payload });
  }

  /** Refuses the message. */
  fail(error: unknown): void {
    this.#settle({ error });
  }

  /** Tells when it is there, at once if it is already. */
  whenSettled(told: (outcome: Outcome) => void): void {
    this.#told = told;
    if (this.#outcome !== null) {
      told(this.#outcome);
    }
  }

  #settle(outcome: Outcome): void {
    if (this.#outcome === null) {
      this.#outcome = outcome;
      this.#told?.(outcome);
    }
  }
}

/** What serves a message: the payload of its own reply, with a descriptor or not, now or later; null where it has none. */
export type Answer = Uint8Array | ReplyWithFd | PendingAnswer | null;

/**
 * Serves one message whose shape and gate were checked.
 * @throws VhostUserError, or what the device threw: the message is refused
 */
export type RequestHandler = (message: IncomingMessage) => Answer;

/** The messages that a module serves. */
export type RequestHandlers = { readonly [Name in FrontendMessageName]?: RequestHandler };
