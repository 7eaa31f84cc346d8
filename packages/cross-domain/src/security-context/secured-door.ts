/**
 * A Wayland socket behind a security context: the compositor knows that what comes through it is a guest, and keeps privileged
 * interfaces from it.
 */
import {
  ECONNREFUSED,
  ENOENT,
  ENOSYS,
  EPERM,
  errnoName,
  type Fd,
  type Logger,
  type Sys,
  silentLogger,
} from '@oriel/sys';
import { connectTo, type Door, type DoorHost } from '../channel/door.ts';
import { attachSecurityContext, type SecurityIdentity } from './attach.ts';
import { NamelessListener } from './nameless-listener.ts';

/** What to do where the compositor has no security contexts, or refuses: connect plainly, with a log line; or not at all. */
export type SecurityMode = 'auto' | 'require';

export interface SecuredDoorOptions {
  /** The compositor's socket. */
  readonly path: string;
  readonly mode: SecurityMode;
  readonly identity?: SecurityIdentity;
  /** Where a socket file can stand for a moment: a private directory, such as XDG_RUNTIME_DIR. */
  readonly directory: string;
  readonly log?: Logger;
}

type Done = (result: Fd | number) => void;

/** One program that waits for its connection. */
class Waiter implements Disposable {
  readonly host: DoorHost;
  readonly #done: Done;
  #connecting: Disposable | null = null;
  #over = false;

  constructor(host: DoorHost, done: Done) {
    this.host = host;
    this.#done = done;
  }

  /** @param done - gets what comes of it */
  connect(path: string, done: Done): void {
    if (!this.#over) this.#connecting = connectTo(path, this.host, done);
  }

  /** @param result - given away */
  settle(result: Fd | number): void {
    if (!this.#over) {
      this.#over = true;
      this.#done(result);
    } else if (typeof result !== 'number') result.close();
  }

  /** It gives up. */
  [Symbol.dispose](): void {
    this.#over = true;
    this.#connecting?.[Symbol.dispose]();
  }
}

export class SecuredDoor implements Door {
  readonly #options: SecuredDoorOptions;
  readonly #log: Logger;
  readonly #waiting = new Set<Waiter>();
  #attaching: Disposable | null = null;
  #listener: NamelessListener | null = null;
  /** The compositor accepts at the listener. */
  #attached = false;
  /** What the log says already. */
  #told = 0;

  constructor(options: SecuredDoorOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
  }

  open(host: DoorHost, done: Done): Disposable {
    const waiter = new Waiter(host, done);
    this.#join(waiter, true);
    return {
      [Symbol.dispose]: () => {
        this.#waiting.delete(waiter);
        waiter[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#attaching?.[Symbol.dispose]();
    this.#attaching = null;
    this.#waiting.clear();
    this.#dropListener();
  }

  /** @param again - where the listener is dead, the compositor of now is asked for a new one */
  #join(waiter: Waiter, again: boolean): void {
    if (this.#attached) this.#connect(waiter, again);
    else this.#enqueue(waiter);
  }

  #connect(waiter: Waiter, again: boolean): void {
    const listener = this.#listener!;
    waiter.connect(listener.address, (result) => {
      if (result !== -ECONNREFUSED || !again) {
        waiter.settle(result);
        return;
      }
      if (this.#listener === listener) this.#dropListener();
      this.#join(waiter, false);
    });
  }

  #enqueue(waiter: Waiter): void {
    this.#waiting.add(waiter);
    if (this.#attaching !== null) return;
    let settled = false;
    const { path, identity = {} } = this.#options;
    const listen = () => this.#listen(waiter.host.sys);
    const attaching = attachSecurityContext(path, waiter.host, listen, identity, (result) => {
      settled = true;
      this.#attaching = null;
      this.#settle(result);
    });
    if (!settled) this.#attaching = attaching;
  }

  #listen(sys: Sys): NamelessListener | number {
    const listener = NamelessListener.open(sys, this.#options.directory);
    if (typeof listener !== 'number') this.#listener = listener;
    return listener;
  }

  /** @param result - of the attaching */
  #settle(result: number): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    const { path, mode } = this.#options;
    if (result === 0) {
      this.#attached = true;
      this.#listener!.given();
      this.#told = 0;
      this.#log.info(`cross-domain: guests are clients of ${path} under a security context`);
    } else {
      this.#dropListener();
      this.#tell(result);
    }
    for (const waiter of waiting) {
      if (result === 0) this.#connect(waiter, false);
      else if (mode === 'auto' && isWithout(result)) waiter.connect(path, (connected) => waiter.settle(connected));
      else waiter.settle(result);
    }
  }

  #tell(result: number): void {
    if (result === this.#told || isAbsent(result)) return;
    this.#told = result;
    const { path, mode } = this.#options;
    const why = result === -ENOSYS ? 'the compositor has none' : errnoName(-result);
    const then = mode === 'auto' && isWithout(result) ? 'guests are plain clients' : 'guests may not connect';
    this.#log.warn(`cross-domain: no security context at ${path} (${why}): ${then}`);
  }

  #dropListener(): void {
    this.#attached = false;
    this.#listener?.[Symbol.dispose]();
    this.#listener = null;
  }
}

/**
 * The compositor itself said that it has none, or gives none. Other failures are no reason to connect plainly: a guest may have
 * caused them, by using up descriptors.
 */
function isWithout(result: number): boolean {
  return result === -ENOSYS || result === -EPERM;
}

/** Nobody listens at the path. */
function isAbsent(result: number): boolean {
  return result === -ECONNREFUSED || result === -ENOENT;
}
