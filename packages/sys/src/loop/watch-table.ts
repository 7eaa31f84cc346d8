/** The watched descriptors of one loop, found again by the token that epoll carries. */
import { TWO_32 } from '@oriel/layout';
import { EBADF, ENOENT } from '../constants/errno.ts';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from '../constants/event.ts';
import type { Watch, WatchHandler } from '../event-loop.ts';
import type { SysLoop } from '../sys.ts';
import { check, SysError } from '../sys-error.ts';

/** A token is `generation * 2^32 + slot`; it stays a safe integer. */
const MAX_GENERATION = 2 ** 21 - 1;

/** One watched descriptor. */
class TableWatch implements Watch {
  readonly fd: number;
  readonly token: number;
  readonly handler: WatchHandler;
  readonly #table: WatchTable;

  constructor(table: WatchTable, fd: number, token: number, handler: WatchHandler) {
    this.#table = table;
    this.fd = fd;
    this.token = token;
    this.handler = handler;
  }

  modify(events: number): void {
    this.#table.modify(this, events);
  }

  [Symbol.dispose](): void {
    this.#table.remove(this);
  }
}

/** Watches by slot. A slot's generation grows with each use, so events of an older watch find nothing. */
export class WatchTable {
  readonly #sys: SysLoop;
  readonly #epfd: number;
  readonly #slots: (TableWatch | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #freeSlots: number[] = [];
  readonly #byFd = new Map<number, TableWatch>();

  constructor(sys: SysLoop, epfd: number) {
    this.#sys = sys;
    this.#epfd = epfd;
  }

  /** @throws SysError */
  add(fd: number, events: number, handler: WatchHandler): Watch {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const generation = this.#generations[slot] ?? 0;
    const watch = new TableWatch(this, fd, generation * TWO_32 + slot, handler);
    const result = this.#sys.epollCtl(this.#epfd, EPOLL_CTL_ADD, fd, events, watch.token);
    if (result < 0) {
      if (slot < this.#slots.length) {
        this.#freeSlots.push(slot);
      }
      throw new SysError(-result, 'epoll_ctl');
    }
    const previous = this.#byFd.get(fd);
    if (previous !== undefined) {
      // The kernel took the number anew, so its old file is closed: that watch must never touch the new one.
      this.#forget(previous);
    }
    this.#slots[slot] = watch;
    this.#generations[slot] = generation;
    this.#byFd.set(fd, watch);
    return watch;
  }

  /** The handler of a token that epoll reported; undefined when its watch is gone. */
  handlerOf(token: number): WatchHandler | undefined {
    const watch = this.#slots[token % TWO_32];
    return watch !== undefined && watch.token === token ? watch.handler : undefined;
  }

  modify(watch: TableWatch, events: number): void {
    if (!this.#holds(watch)) {
      throw new RangeError(`descriptor ${watch.fd} is no longer watched`);
    }
    check(this.#sys.epollCtl(this.#epfd, EPOLL_CTL_MOD, watch.fd, events, watch.token), 'epoll_ctl');
  }

  /** @throws SysError for anything but a descriptor that was closed too early */
  remove(watch: TableWatch): void {
    if (!this.#holds(watch)) {
      return;
    }
    this.#forget(watch);
    const result = this.#sys.epollCtl(this.#epfd, EPOLL_CTL_DEL, watch.fd, 0, 0);
    if (result < 0 && result !== -EBADF && result !== -ENOENT) {
      throw new SysError(-result, 'epoll_ctl');
    }
  }

  /** Forgets every watch: the epoll descriptor is about to be closed. */
  clear(): void {
    for (const watch of [...this.#byFd.values()]) {
      this.#forget(watch);
    }
  }

  #holds(watch: TableWatch): boolean {
    return this.#slots[watch.token % TWO_32] === watch;
  }

  #forget(watch: TableWatch): void {
    const slot = watch.token % TWO_32;
    const generation = this.#generations[slot]!;
    this.#slots[slot] = undefined;
    this.#byFd.delete(watch.fd);
    if (generation < MAX_GENERATION) {
      this.#generations[slot] = generation + 1;
      this.#freeSlots.push(slot);
    }
  }
}
