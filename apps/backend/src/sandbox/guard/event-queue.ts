/**
 * Events for a device that may be busy, or not itself any more: changes of one file that it has not heard of yet are one, a
 * question that is over before it was heard is none, and what asks too many is refused.
 */
import { check, EAGAIN, EPIPE, type Sys } from '@oriel/sys';
import { GuardEvent, Happening } from './wire.ts';

/** One event. */
export interface KeeperEvent {
  readonly kind: number;
  readonly watch: number;
  readonly question: number;
  readonly flag: boolean;
  readonly size: number;
}

/** Questions that wait to be sent, at most. Changes are as many as there are watches, twice. */
export const MAX_WAITING_QUESTIONS = 256;

/** Events of one name stand for each other. */
function nameOf({ kind, watch, question, flag }: KeeperEvent): string {
  return kind === Happening.CHANGED ? `${watch} ${flag}` : `${kind}: ${question}`;
}

/** Sends at once, or when the socket has room again. */
export class EventQueue {
  readonly #socket: Sys['socket'];
  readonly #fd: number;
  readonly #full: (full: boolean) => void;
  readonly #bytes = new Uint8Array(GuardEvent.byteLength);
  readonly #view = new DataView(this.#bytes.buffer);
  /** In the order in which they are sent. */
  readonly #waiting = new Map<string, KeeperEvent>();
  #questions = 0;

  /** @param full - hears when there is no room, and when all has been sent: `flush` is to be called meanwhile */
  constructor({ socket }: Pick<Sys, 'socket'>, fd: number, full: (full: boolean) => void) {
    this.#socket = socket;
    this.#fd = fd;
    this.#full = full;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** @returns false for a question that nobody will hear: too many wait */
  send(event: KeeperEvent): boolean {
    if (this.#waiting.size > 0) return this.#hold(event);
    if (!this.#write(event)) {
      this.#hold(event);
      this.#full(true);
    }
    return true;
  }

  /** Nothing is told of a watch that has ended. */
  forget(watch: number): void {
    for (const flag of [false, true]) {
      this.#waiting.delete(nameOf({ kind: Happening.CHANGED, watch, question: 0, flag, size: 0 }));
    }
  }

  /** The socket has room. */
  flush(): void {
    for (const [name, event] of this.#waiting) {
      if (!this.#write(event)) return;
      this.#drop(name);
    }
    this.#full(false);
  }

  #hold(event: KeeperEvent): boolean {
    const name = nameOf(event);
    switch (event.kind) {
      case Happening.TRUNCATING:
        if (this.#questions === MAX_WAITING_QUESTIONS) return false;
        this.#questions++;
        break;
      case Happening.TRUNCATED:
        if (this.#drop(nameOf({ ...event, kind: Happening.TRUNCATING }))) return true;
        break;
      case Happening.CHANGED:
        // The latest counts, and comes behind what happened before it.
        this.#waiting.delete(name);
        break;
    }
    this.#waiting.set(name, event);
    return true;
  }

  #drop(name: string): boolean {
    if (this.#waiting.get(name)?.kind === Happening.TRUNCATING) this.#questions--;
    return this.#waiting.delete(name);
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
    // The device is gone, which its sockets say where they are read.
    if (sent !== -EPIPE) check(sent, 'sendmsg');
    return true;
  }
}
