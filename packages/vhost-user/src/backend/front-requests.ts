/** Requests of the device to the front-end that need no more than to be negotiated (back-end messages 3 and 6 to 8). */
import { EOPNOTSUPP, type EventLoop } from '@oriel/sys';
import { gateIsOpen, type Negotiated } from '../protocol/check.ts';
import { type BackendMessageName, backendMessageNamed } from '../protocol/messages.ts';
import type { BackChannel, BackRequest } from './back-channel.ts';

/** What is needed of the connection. */
export interface FrontRequestsOptions {
  readonly loop: EventLoop;
  readonly backChannel: BackChannel;
  readonly negotiated: Negotiated;
}

/** Asks on the back channel; while rings are stopped a request waits for their start. */
export class FrontRequests {
  readonly #options: FrontRequestsOptions;

  constructor(options: FrontRequestsOptions) {
    this.#options = options;
  }

  /**
   * Sends a request when its turn comes.
   * @param done - once, from the loop: 0; -EIO refused, -EOPNOTSUPP not negotiated or no back channel, -ECANCELED not sent
   * @param more - a descriptor, lent until `done`; and who takes that of the answer
   */
  ask(
    name: BackendMessageName,
    payload: Uint8Array,
    done: (error: number) => void,
    more: Partial<Pick<BackRequest, 'fd' | 'onFd'>> = {},
  ): void {
    const { loop, backChannel, negotiated } = this.#options;
    const spec = backendMessageNamed(name);
    const later = (error: number): void => loop.defer(() => done(error));
    if (!backChannel.open || !gateIsOpen(spec, negotiated)) {
      later(-EOPNOTSUPP);
      return;
    }
    backChannel.request({ spec, payload, fd: -1, done: later, ...more });
  }
}
