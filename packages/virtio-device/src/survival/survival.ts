/** What of one served device outlives its process, as `ServeOptions.survive` asks for it. */
import type { Fd, Logger, Sys } from '@oriel/sys';
import type { VirtioDevice } from '../device.ts';
import type { FdStore } from './fd-store.ts';
import { HandoverStore } from './handover-store.ts';
import { LocalStore } from './local-store.ts';
import { SessionState } from './session-state.ts';

/**
 * What survives the process. Always: the requests in flight, with front-ends that have INFLIGHT_SHMFD. With a store also the
 * device's state, the listening socket, and the front-end itself over a hand-over.
 */
export interface SurvivalOptions {
  /** Holds descriptors over the end of the process: `openNotifyStore` under systemd or `oriel --restart`. Stays the caller's. */
  readonly store?: FdStore;
  /** Begins the names in the store, where one process serves several devices; default: the device's name. */
  readonly name?: string;
}

/** The parts of a device that survive; lives as long as its server. */
export class Survival implements Disposable {
  /** Null for a device that has none. */
  readonly state: SessionState | null;
  /** Where a hand-over lies. */
  readonly handover: HandoverStore;
  readonly #store: FdStore;
  readonly #own: LocalStore | null;
  readonly #prefix: string;

  /** @throws SysError ENOMEM, EMFILE */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, device: VirtioDevice, options: SurvivalOptions, log: Logger) {
    this.#own = options.store === undefined ? new LocalStore(sys.fd) : null;
    this.#store = options.store ?? this.#own!;
    this.#prefix = options.name ?? device.name;
    this.handover = new HandoverStore(sys, this.#store, this.#prefix);
    const { stateBytes: size = 0 } = device;
    this.state = size === 0 ? null : new SessionState({ sys, store: this.#store, prefix: this.#prefix, size, log });
  }

  /** The listening socket of the process before; null: there is none. */
  takeSocket(): Fd | null {
    return this.#store.take(this.#socketName);
  }

  /** The listening socket is to outlive this process. @param fd - lent */
  holdSocket(fd: number): void {
    this.#store.put(this.#socketName, fd);
  }

  /** The socket's file goes. */
  dropSocket(): void {
    this.#store.remove(this.#socketName);
  }

  [Symbol.dispose](): void {
    this.state?.[Symbol.dispose]();
    this.#own?.[Symbol.dispose]();
  }

  get #socketName(): string {
    return `${this.#prefix}.socket`;
  }
}
