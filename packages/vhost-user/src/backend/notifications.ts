/** Calls and errors of rings by message (back-end messages 4 and 5), for drivers without eventfds. */
import { ECANCELED } from '@oriel/sys';
import { encodeVringState } from '../protocol/encode.ts';
import { type BackendMessageName, backendMessageNamed } from '../protocol/messages.ts';
import type { BackChannel } from './back-channel.ts';

/** What is needed of the connection. */
export interface NotificationsOptions {
  readonly backChannel: BackChannel;
  /** INBAND_NOTIFICATIONS was accepted, rings run, and there is a back channel. */
  readonly maySend: () => boolean;
}

type Notification = Extract<BackendMessageName, 'VRING_CALL' | 'VRING_ERR'>;

/** Each ring has at most one message of a kind on its way: what happens before it is sent is told by it. */
export class Notifications {
  readonly #options: NotificationsOptions;
  readonly #due = { VRING_CALL: new Set<number>(), VRING_ERR: new Set<number>() };
  readonly #queued = { VRING_CALL: new Set<number>(), VRING_ERR: new Set<number>() };

  constructor(options: NotificationsOptions) {
    this.#options = options;
  }

  /** Tells the driver of a ring; at the next start where rings are stopped. */
  notify(name: Notification, index: number): void {
    this.#due[name].add(index);
    this.send();
  }

  /** Sends what is due and may be sent. */
  send(): void {
    for (const name of ['VRING_CALL', 'VRING_ERR'] as const) {
      for (const index of this.#due[name]) {
        if (this.#queued[name].has(index) || !this.#options.maySend()) {
          continue;
        }
        this.#due[name].delete(index);
        this.#queued[name].add(index);
        this.#request(name, index);
      }
    }
  }

  #request(name: Notification, index: number): void {
    this.#options.backChannel.request({
      spec: backendMessageNamed(name),
      payload: encodeVringState(index, 0),
      fd: -1,
      done: (error) => {
        this.#queued[name].delete(index);
        if (error === -ECANCELED) {
          this.#due[name].add(index);
        } else {
          this.send();
        }
      },
    });
  }
}
