/**
 * Dirty logging for live migration (messages 6 and 7): a bit for each page of guest memory that was written, in memory of the
 * front-end. In force while VHOST_F_LOG_ALL is accepted and a log is there.
 */
import type { EventLoop, Fd, Logger, Mapping, Sys } from '@oriel/sys';
import type { DirtyLog } from '@oriel/virtqueue';
import { VhostUserError } from '../errors.ts';
import { VHOST_F_LOG_ALL } from '../features.ts';
import { VHOST_LOG_PAGE, VhostUserLog } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { Negotiated } from '../protocol/check.ts';
import { encodeU64 } from '../protocol/encode.ts';
import { isEventfd } from './event-fd.ts';
import type { RequestHandlers } from './requests.ts';
import { mapSealed } from './sealed-memory.ts';

/** Largest log, bytes: 32 TiB of guest addresses. */
const MAX_LOG_BYTES = 2 ** 30;

/** What the log needs of the connection. */
export interface LogMemoryOptions {
  readonly sys: Pick<Sys, 'mem' | 'file' | 'fd' | 'loop'>;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly negotiated: Negotiated;
  /** Logging was switched on or off. */
  readonly onSwitch: () => void;
}

/** Where a log lies, as SET_LOG_BASE says it. */
export interface WireLog {
  readonly mmapSize: number;
  readonly mmapOffset: number;
}

interface Held {
  readonly wire: WireLog;
  readonly fd: Fd;
  readonly mapping: Mapping;
}

/** The dirty log of a connection. Its `mark` costs an atomic OR a page. */
export class LogMemory implements Disposable {
  readonly handlers: RequestHandlers = {
    SET_LOG_BASE: (message) => this.#setBase(message),
    SET_LOG_FD: (message) => this.#setFd(message),
  };
  readonly #options: LogMemoryOptions;
  #held: Held | null = null;
  #bits: Uint8Array = new Uint8Array(0);
  #eventFd: Fd | null = null;
  #on = false;
  #outside = 0;
  #pokeDue = false;

  constructor(options: LogMemoryOptions) {
    this.#options = options;
  }

  /** Writes are to be logged. */
  get on(): boolean {
    return this.#on;
  }

  /** What was set, for a connection that is written down: the descriptors are lent. */
  get held(): { readonly wire: WireLog; readonly fd: number; readonly eventFd: number } | null {
    const held = this.#held;
    return held === null
      ? null
      : { wire: held.wire, fd: held.fd.fd, eventFd: this.#eventFd === null ? -1 : this.#eventFd.fd };
  }

  /** Logs a write, guest physical. */
  mark(gpa: number, len: number): void {
    const bits = this.#bits;
    const last = Math.floor((gpa + len - 1) / VHOST_LOG_PAGE);
    for (let page = Math.floor(gpa / VHOST_LOG_PAGE); page <= last; page++) {
      const at = Math.floor(page / 8);
      if (at >= bits.length) {
        this.#markOutside(page);
        return;
      }
      // Always, set or not: the front-end may be about to clear the bit, and reads the page after that.
      Atomics.or(bits, at, 1 << (page & 7));
    }
    if (this.#eventFd !== null) {
      this.#poke();
    }
  }

  /** The accepted features changed. */
  featuresChanged(): void {
    const on = this.#held !== null && this.#options.negotiated.features.has(VHOST_F_LOG_ALL);
    if (on !== this.#on) {
      this.#on = on;
      this.#options.onSwitch();
    }
  }

  /**
   * Takes a log as SET_LOG_BASE gives it. @param fd - given away, also when this throws
   * @throws VhostUserError ERR_VU_LOG; the log that was there stays
   */
  install(wire: WireLog, fd: Fd): void {
    const { mmapSize, mmapOffset } = wire;
    try {
      if (!(mmapSize > 0 && mmapSize <= MAX_LOG_BYTES) || !Number.isSafeInteger(mmapSize + mmapOffset)) {
        throw new VhostUserError('ERR_VU_LOG', 'frontend', `a log of ${mmapSize} bytes at ${mmapOffset}`);
      }
      const { sys } = this.#options;
      const mapping = mapSealed(sys, fd, { len: mmapSize, offset: mmapOffset, code: 'ERR_VU_LOG' });
      this.#release();
      this.#held = { wire, fd, mapping };
      this.#bits = mapping.u8;
    } catch (error) {
      fd.close();
      throw error;
    }
    this.featuresChanged();
  }

  /** The eventfd to tell of writes; given away. */
  installEventFd(fd: Fd): void {
    this.#eventFd?.close();
    this.#eventFd = fd;
  }

  /** Unmaps and closes everything. */
  [Symbol.dispose](): void {
    this.#on = false;
    this.#release();
    this.#eventFd?.close();
    this.#eventFd = null;
  }

  #setBase(message: IncomingMessage): Uint8Array {
    const { view } = message;
    const wire = {
      mmapSize: VhostUserLog.mmapSize.get(view, 0),
      mmapOffset: VhostUserLog.mmapOffset.get(view, 0),
    };
    this.install(wire, message.fds.take(0));
    return encodeU64(0);
  }

  #setFd(message: IncomingMessage): null {
    const { sys } = this.#options;
    const fd = message.fds.take(0);
    if (!isEventfd(sys, fd.fd)) {
      fd.close();
      throw new VhostUserError('ERR_VU_DESCRIPTOR', 'frontend', 'the descriptor is no eventfd');
    }
    sys.fd.setNonBlocking(fd.fd, true);
    this.installEventFd(fd);
    return null;
  }

  #release(): void {
    this.#bits = new Uint8Array(0);
    this.#held?.mapping[Symbol.dispose]();
    this.#held?.fd.close();
    this.#held = null;
  }

  /** One signal for all writes of a moment. */
  #poke(): void {
    if (!this.#pokeDue) {
      this.#pokeDue = true;
      this.#options.loop.defer(this.#signal);
    }
  }

  readonly #signal = (): void => {
    this.#pokeDue = false;
    if (this.#eventFd !== null) {
      this.#options.sys.loop.eventfdSignal(this.#eventFd.fd);
    }
  };

  /** The front-end's log is shorter than the memory that it shares: its page would be lost, which it is told by the log only. */
  #markOutside(page: number): void {
    this.#outside++;
    if (Number.isInteger(Math.log2(this.#outside))) {
      const { log } = this.#options;
      log.warn('a page lies outside the dirty log', { page, bytes: this.#bits.length, count: this.#outside });
    }
  }
}

/** The log as the queue of one ring sees it, or a device for its own writes. */
export class RingLog implements DirtyLog {
  readonly #log: LogMemory;
  /** VHOST_VRING_F_LOG was set for the ring: its own parts are logged too. */
  logsRing = false;

  constructor(log: LogMemory) {
    this.#log = log;
  }

  mark(gpa: number, len: number): void {
    this.#log.mark(gpa, len);
  }

  markRingAt(gpa: number, len: number): void {
    if (this.logsRing) {
      this.#log.mark(gpa, len);
    }
  }
}
