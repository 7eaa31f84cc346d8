/** Events for a device that may be busy: none is lost, and changes of one file that it has not heard of yet are one. */
import { check, EAGAIN, type Sys } from '@oriel/sys';
import { GuardEvent, Happening } from './wire.ts';

/** One event. */
export interface KeeperEvent {
  readonly kind: number;
  readonly watch: number;
  readonly question: number;
  readonly flag: boolean;
  readonly size: number;
}

/** Sends at once, or when the socket has room again. */
export class EventQueue {
  readonly #socket: Sys['socket'];
  readonly #fd: number;
  readonly #full: (full: boolean) => void;
  readonly #bytes = new Uint8Array(GuardEvent.byteLength);
  readonly #view = new DataView(this.#bytes.buffer);
  #waiting: KeeperEvent[] = [];

  /** @param full - hears when there is no room, and when all has been sent: `flush` is to be called meanwhile */
  constructor({ socket }: Pick<Sys, 'socket'>, fd: number, full: (full: boolean) => void) {
    this.#socket = socket;
    this.#fd = fd;
    this.#full = full;
  }

  send(event: KeeperEvent): void {
    if (this.#waiting.length > 0) {
      this.#hold(event);
    } else if (!this.#write(event)) {
      this.#waiting.push(event);
      this.#full(true);
    }
  }

  /** The socket has room. */
  flush(): void {
    while (this.#waiting.length > 0) {
      if (!this.#write(this.#waiting[0]!)) return;
      this.#waiting.shift();
    }
    this.#full(false);
  }

  #hold(event: KeeperEvent): void {
    const { kind, watch, flag } = event;
    const told = (one: KeeperEvent): boolean => one.kind === kind && one.watch === watch && one.flag === flag;
    if (kind === Happening.CHANGED) this.#waiting = this.#waiting.filter((one) => !told(one));
    this.#waiting.push(event);
  }

  /** @returns false when there is no room */
  #write({ kind, watch, question, flag, size }: KeeperEvent): boolean {
    GuardEvent.kind.set(this.#view, 0, kind);
    GuardEvent.watch.set(this.#view, 0, watch);
    GuardEvent.question.set(this.#view, 0, question);
    GuardEvent.flag.set(this.#view, 0, flag ? 1 : 0);
    GuardEvent.size.set(this.#view, 0, size);
    const sent = this.#socket.sendmsg(this.#fd, this.#bytes, this.#bytes.length, null, 0);
    if (sent === -EAGAIN) return false;
    check(sent, 'sendmsg');
    return true;
  }
}
