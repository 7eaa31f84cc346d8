/**
 * Data on its way into a host socket or pipe: written at once where there is room, else kept in order until there is, up to a
 * bound. Beyond half of the bound those who write are told to wait, a little: they may not be able to.
 */
import { EAGAIN, ENOBUFS, type EventLoop, Fd, type LoopTimer, type SysFd } from '@oriel/sys';
import type { Quota } from '../quota.ts';

/** Writes what it can. @param fds - lent @returns bytes, or a negative errno */
export type Write = (data: Uint8Array, fds: Int32Array | null, fdCount: number) => number;

export interface OutboxOptions {
  readonly loop: EventLoop;
  readonly fd: Pick<SysFd, 'close' | 'dup'>;
  readonly write: Write;
  /** For the bytes that wait, and for copies of descriptors. */
  readonly bytes: Quota;
  readonly fds: Quota;
  /** Bytes. */
  readonly max: number;
}

interface Entry {
  readonly data: Uint8Array;
  at: number;
  /** Ours, to be sent with the first byte. */
  fds: Fd[];
}

interface Waiter {
  readonly done: () => void;
  readonly timer: LoopTimer;
}

/** A writer waits at most this long: its fence may hold up others of the program. */
const PATIENCE_MS = 100;

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #entries: Entry[] = [];
  readonly #waiters: Waiter[] = [];
  #waiting = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** More than half full. */
  get isCrowded(): boolean {
    return this.#waiting * 2 > this.#options.max;
  }

  /**
   * Writes data, or keeps a copy. @param fds - lent
   * @returns 0; -ENOBUFS when it is full, -EMFILE when there are no descriptors, or the errno of the write: no more can be sent then
   */
  post(data: Uint8Array, fds: Int32Array | null, fdCount: number): number {
    let sent = 0;
    if (this.isEmpty) {
      const written = this.#options.write(data, fds, fdCount);
      if (written === data.length) return 0;
      if (written < 0 && written !== -EAGAIN) return written;
      sent = Math.max(0, written);
    }
    return this.#keep(data.slice(sent), sent > 0 ? null : fds, fdCount);
  }

  /** Writes what waits, as far as there is room. @returns 0, or a negative errno */
  flush(): number {
    while (this.#entries.length > 0) {
      const entry = this.#entries[0]!;
      const fds = entry.fds.length === 0 ? null : Int32Array.from(entry.fds, ({ fd }) => fd);
      const written = this.#options.write(entry.data.subarray(entry.at), fds, entry.fds.length);
      if (written === -EAGAIN) break;
      if (written < 0) return written;
      this.#dropFds(entry);
      entry.at += written;
      if (entry.at < entry.data.length) continue;
      this.#entries.shift();
      this.#forget(entry);
    }
    if (!this.isCrowded) this.#release();
    return 0;
  }

  /** Calls back when there is room, at the latest after a moment; at once while it is not crowded. */
  whenRoom(done: () => void): void {
    if (!this.isCrowded) {
      done();
      return;
    }
    const waiter: Waiter = {
      done,
      timer: this.#options.loop.timer(PATIENCE_MS, () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        done();
      }),
    };
    this.#waiters.push(waiter);
  }

  /** Drops what waits. */
  clear(): void {
    for (const entry of this.#entries.splice(0)) {
      this.#dropFds(entry);
      this.#forget(entry);
    }
    this.#release();
  }

  #keep(data: Uint8Array, fds: Int32Array | null, fdCount: number): number {
    const { max, bytes } = this.#options;
    if (data.length > max - this.#waiting || !bytes.take(data.length)) return -ENOBUFS;
    this.#waiting += data.length;
    const entry: Entry = { data, at: 0, fds: [] };
    this.#entries.push(entry);
    for (let index = 0; fds !== null && index < fdCount; index++) {
      const error = this.#copyFd(entry, fds[index]!);
      if (error < 0) return error;
    }
    return 0;
  }

  #copyFd(entry: Entry, lent: number): number {
    const { fd, fds } = this.#options;
    if (!fds.take(1)) return -ENOBUFS;
    const copy = fd.dup(lent);
    if (copy >= 0) entry.fds.push(new Fd(fd, copy));
    else fds.give(1);
    return Math.min(copy, 0);
  }

  #dropFds(entry: Entry): void {
    for (const fd of entry.fds) fd.close();
    this.#options.fds.give(entry.fds.length);
    entry.fds = [];
  }

  #forget(entry: Entry): void {
    this.#waiting -= entry.data.length;
    this.#options.bytes.give(entry.data.length);
  }

  #release(): void {
    for (const { done, timer } of this.#waiters.splice(0)) {
      timer[Symbol.dispose]();
      done();
    }
  }
}
