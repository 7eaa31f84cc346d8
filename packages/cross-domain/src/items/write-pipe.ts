/** A pipe that came from a host program: the guest writes into it. */
import { ENOBUFS, EPOLLET, EPOLLOUT, type Fd, type LoopTimer, type Watch } from '@oriel/sys';
import { Outbox } from '../io/outbox.ts';
import { tryWatch } from '../io/try-watch.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Item } from './item.ts';

/** A host program that reads nothing of the rest for so long does not get it. */
const LINGER_MS = 30_000;

export class WritePipe implements Item {
  /** WRITE_PIPE is not sent back. */
  readonly fd = -1;
  readonly outbox: Outbox;
  readonly #file: Fd;
  readonly #around: Surroundings;
  readonly #watch: Watch | null;
  #finished = false;
  #timer: LoopTimer | null = null;

  /** @param file - given away, non-blocking; one of the descriptors' quota is taken for it already */
  constructor(file: Fd, around: Surroundings) {
    const { host, limits, quotas } = around;
    const { sys, loop } = host;
    this.#file = file;
    this.#around = around;
    this.outbox = new Outbox({
      loop,
      fd: sys.fd,
      write: (data) => sys.fd.write(file.fd, data, data.length),
      bytes: quotas.bytes,
      fds: quotas.fds,
      max: limits.maxQueuedBytes,
    });
    this.#watch = tryWatch(loop, file.fd, EPOLLOUT | EPOLLET, () => this.#flush());
    // Nothing would tell of room: as good as broken.
    if (this.#watch === null) this.#close();
  }

  /** Data for the host; dropped when nobody reads it any more. */
  write(data: Uint8Array): void {
    if (this.#file.closed || this.#finished) return;
    const error = this.outbox.post(data, null, 0);
    if (error === -ENOBUFS) this.#around.say('a pipe is broken: too much waits for the host program that reads it');
    if (error < 0) this.#close();
  }

  /** Closes the pipe when all is written. */
  hangUp(): void {
    this.#finished = true;
    if (this.outbox.isEmpty) this.#close();
  }

  /** The number is not the guest's any more. What it finished writing still gets to the host. */
  [Symbol.dispose](): void {
    if (this.#timer !== null || !this.#finished || this.#file.closed) {
      this.#close();
      return;
    }
    this.#around.lingering.add(this);
    this.#linger();
  }

  #linger(): void {
    const before = this.outbox.waiting;
    this.#timer = this.#around.host.loop.timer(LINGER_MS, () => {
      if (this.outbox.waiting < before) this.#linger();
      else this.#close();
    });
  }

  #flush(): void {
    if (this.outbox.flush() < 0 || (this.#finished && this.outbox.isEmpty)) this.#close();
  }

  #close(): void {
    if (this.#file.closed) return;
    this.#timer?.[Symbol.dispose]();
    this.#around.lingering.delete(this);
    this.#watch?.[Symbol.dispose]();
    this.#file.close();
    this.#around.quotas.fds.give(1);
    this.outbox.clear();
  }
}
