/**
 * Waiting for a descriptor in Node's own loop. koffi's poll handle aborts the process when it is misused (a bad or
 * regular descriptor, one polled twice, one closed first), so nothing else in the package touches it.
 */
import { koffi } from './library.ts';

type Handle = ReturnType<ReturnType<typeof koffi>['node']['poll']>;

/** One pollable descriptor (an epoll descriptor) under libuv. Dispose it before the descriptor is closed. */
export class NodePoll implements Disposable {
  readonly #fd: number;
  readonly #onReadable: () => void;
  #handle: Handle | undefined;

  /** @param onReadable - must not throw: koffi would swallow it and stop polling */
  constructor(fd: number, onReadable: () => void) {
    this.#fd = fd;
    this.#onReadable = onReadable;
  }

  /** Calls back for as long as the descriptor is readable, and keeps the process alive. */
  start(): void {
    this.#handle ??= koffi().node.poll(this.#fd, { readable: true }, () => {
      if (this.#handle !== undefined) {
        this.#onReadable();
      }
    });
  }

  stop(): void {
    const handle = this.#handle;
    this.#handle = undefined;
    handle?.stop();
    handle?.close();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
