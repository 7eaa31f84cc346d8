/** The store of systemd (FileDescriptorStoreMax=) and of `oriel --restart`, by the protocol of sd_notify(3). */
import { check, EAGAIN, EPOLL_CTL_ADD, EPOLLOUT, errnoName, Fd, type Logger, type Sys, silentLogger } from '@oriel/sys';
import type { FdStore } from './fd-store.ts';
import { LocalStore } from './local-store.ts';
import type { LauncherTerms } from './received-fds.ts';

/** A launcher that is alive reads in microseconds; one that is not must not stop the device for ever. */
const WAIT_MS = 1000;

/** What a store needs. */
export interface NotifyStoreOptions {
  readonly sys: Pick<Sys, 'socket' | 'fd' | 'loop'>;
  readonly log?: Logger;
}

/** Tells the launcher what to hold, and holds a duplicate of it, for a front-end that comes back to this process. */
export class NotifyStore implements FdStore, Disposable {
  readonly #sys: Pick<Sys, 'socket' | 'fd' | 'loop'>;
  readonly #log: Logger;
  readonly #socket: Fd;
  readonly #local: LocalStore;
  readonly #encoder = new TextEncoder();
  /** Names that the launcher was not heard to let go of: it holds them until it hears. */
  readonly #owed = new Set<string>();
  /** Messages that nobody heard, and whether the last one was such. */
  #unheard = 0;
  #deaf = false;

  constructor(terms: LauncherTerms & { readonly notifySocket: string }, options: NotifyStoreOptions) {
    const { sys } = options;
    this.#sys = sys;
    this.#log = options.log ?? silentLogger;
    this.#local = new LocalStore(sys.fd);
    for (const { name, fd } of terms.received) {
      check(sys.fd.setCloexec(fd, true), 'fcntl');
      this.#local.hold(name, new Fd(sys.fd, fd));
    }
    try {
      this.#socket = new Fd(sys.fd, check(sys.socket.connectDatagram(terms.notifySocket), 'connect'));
    } catch (error) {
      this.#local[Symbol.dispose]();
      throw error;
    }
  }

  get names(): readonly string[] {
    return this.#local.names;
  }

  put(name: string, fd: number): boolean {
    if (this.#local.has(name)) {
      this.remove(name);
    }
    // FDPOLL=0: systemd lets go of what hangs up otherwise, which a front-end's socket does while it restarts.
    if (!this.tell(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, fd)) return false;
    if (this.#local.put(name, fd)) return true;
    this.remove(name);
    return false;
  }

  remove(name: string): void {
    this.#local.remove(name);
    this.#owed.add(name);
    this.#sayOwed();
  }

  take(name: string): Fd | null {
    return this.#local.take(name);
  }

  /**
   * Tells the launcher something else: `READY=1`, `STATUS=...`. What it did not hear of names to let go of comes first.
   * @param fd - lent, -1 for none
   * @returns false when nobody hears it; said in the log, now and then
   */
  tell(text: string, fd = -1): boolean {
    return this.#sayOwed() && this.#say(text, fd);
  }

  /** Lets go of the duplicates; the launcher holds what it holds. */
  [Symbol.dispose](): void {
    this.#socket.close();
    this.#local[Symbol.dispose]();
  }

  /** @returns false when the launcher does not hear */
  #sayOwed(): boolean {
    for (const name of this.#owed) {
      if (!this.#say(`FDSTOREREMOVE=1\nFDNAME=${name}`, -1)) return false;
      this.#owed.delete(name);
    }
    return true;
  }

  #say(text: string, fd: number): boolean {
    const bytes = this.#encoder.encode(text);
    const fds = fd < 0 ? null : Int32Array.of(fd);
    const send = (): number => this.#sys.socket.sendmsg(this.#socket.fd, bytes, bytes.length, fds, fd < 0 ? 0 : 1);
    let sent = send();
    // Waited for once: a device that has much to say must not stand still for each word.
    if (sent === -EAGAIN && !this.#deaf && this.#wait()) {
      sent = send();
    }
    this.#deaf = sent < 0;
    if (this.#deaf && Number.isInteger(Math.log2(++this.#unheard))) {
      this.#log.warn(`the launcher does not hear: ${errnoName(-sent)}`, { text, unheard: this.#unheard });
    }
    return !this.#deaf;
  }

  /** Its queue is full: waits until it has read. @returns false when it does not */
  #wait(): boolean {
    const { loop, fd } = this.#sys;
    using epoll = new Fd(fd, check(loop.epollCreate(), 'epoll_create'));
    check(loop.epollCtl(epoll.fd, EPOLL_CTL_ADD, this.#socket.fd, EPOLLOUT, 0), 'epoll_ctl');
    return loop.epollWait(epoll.fd, WAIT_MS, new Uint32Array(1), new Float64Array(1)) > 0;
  }
}

/**
 * The store of whoever launched this process.
 * @param terms - `launcherTerms(process.env, process.pid)`; its descriptors are given away
 * @returns null when nobody did who holds descriptors
 * @throws SysError when the launcher's socket cannot be reached
 */
export function openNotifyStore(terms: LauncherTerms, options: NotifyStoreOptions): NotifyStore | null {
  const { notifySocket, received } = terms;
  return notifySocket === undefined ? null : new NotifyStore({ notifySocket, received }, options);
}
