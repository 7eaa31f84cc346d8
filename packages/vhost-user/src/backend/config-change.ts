/** CONFIG_CHANGE_MSG: said while rings run, kept for the next start otherwise. */
import { ECANCELED, EOPNOTSUPP } from '@oriel/sys';
import { backendMessageNamed } from '../protocol/messages.ts';
import type { BackChannel } from './back-channel.ts';

const CONFIG_CHANGE = backendMessageNamed('CONFIG_CHANGE_MSG');

/** What is needed of the connection. */
export interface ConfigChangeOptions {
  readonly backChannel: BackChannel;
  /** Rings run: a message may be sent. */
  readonly mayTell: () => boolean;
  /** CONFIG was negotiated. */
  readonly negotiated: () => boolean;
}

type Done = (error: number) => void;

/** Changes of the configuration space that the front-end has not been told of. */
export class ConfigChange implements Disposable {
  readonly #options: ConfigChangeOptions;
  #pending = false;
  #waiting: Done[] = [];

  constructor(options: ConfigChangeOptions) {
    this.#options = options;
  }

  /** The front-end is still to be told. */
  get pending(): boolean {
    return this.#pending;
  }

  /** The configuration changed. Changes before the message is sent share one. */
  changed(done?: Done): void {
    this.#pending = true;
    if (done !== undefined) {
      this.#waiting.push(done);
    }
    this.tell();
  }

  /** Sends what is pending, when it may be sent. */
  tell(): void {
    if (!this.#pending || !this.#options.mayTell()) {
      return;
    }
    const waiting = this.#take();
    if (!this.#options.negotiated() || !this.#options.backChannel.open) {
      finish(waiting, -EOPNOTSUPP);
      return;
    }
    this.#options.backChannel.request({
      spec: CONFIG_CHANGE,
      payload: new Uint8Array(0),
      fd: -1,
      done: (error) => this.#told(error, waiting),
    });
  }

  /** The connection ends. */
  [Symbol.dispose](): void {
    finish(this.#take(), -ECANCELED);
  }

  /** Never sent since the rings stopped: it waits for the next start. */
  #told(error: number, waiting: Done[]): void {
    if (error === -ECANCELED) {
      this.#pending = true;
      this.#waiting.push(...waiting);
    } else {
      finish(waiting, error);
    }
  }

  #take(): Done[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#pending = false;
    return waiting;
  }
}

function finish(waiting: readonly Done[], error: number): void {
  for (const done of waiting) {
    done(error);
  }
}
