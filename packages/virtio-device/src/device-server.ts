/** A device on its socket: one front-end after the other. */
import type { EventLoop, Fd, HelperThreads, Logger, Sys } from '@oriel/sys';
import { type FeatureSet, type FrontendProfile, VhostUserError } from '@oriel/vhost-user';
import { Counters } from './counters.ts';
import type { VirtioDevice } from './device.ts';
import { DeviceConnection } from './device-connection.ts';
import { DeviceError } from './errors.ts';
import { LazyOffload } from './lazy-offload.ts';
import { adoptSocket, Listener, type ListenerOptions } from './listener.ts';
import { RateLimit } from './rate-limit.ts';
import type { FrozenDevice } from './survival/frozen-device.ts';
import { Survival, type SurvivalOptions } from './survival/survival.ts';

/** What happened to a server: the life of its socket and of the front-end on it. */
export type ServeEvent = 'listening' | 'connected' | 'started' | 'stopped' | 'disconnected';

/** A device that is being served. */
export interface DeviceServer extends Disposable {
  /** True while a front-end is there. */
  readonly connected: boolean;
  /** Counters now, by name: see `Counters`; those of regions begin with `region.`. */
  readonly stats: Record<string, number>;
  /**
   * Hands the front-end over to the next process that serves this device with the same store, and ends: queues stop, the
   * device saves its state and is detached; the front-end waits and notices nothing. Without one there, the socket.
   * @returns false while a message is under way: nothing happened, try again later
   * @throws DeviceError ERR_DEVICE_HANDOVER for a server without a store, or when the store does not take it: then the
   * front-end is gone
   */
  handOver(): boolean;
  /** Stops queues, closes the connection, removes the socket file it made. */
  [Symbol.dispose](): void;
}

/** The options of `serve`, all of them decided. */
export interface ServerOptions {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly profile: FrontendProfile;
  readonly log: Logger;
  readonly offload: HelperThreads | undefined;
  readonly socketPath: string | undefined;
  readonly socketGroup: number;
  readonly maxMappings: number;
  readonly ringFeatures: FeatureSet;
  readonly batch: number;
  readonly poll: boolean;
  readonly survive: SurvivalOptions | undefined;
  readonly maxConnections: number;
  readonly onEvent: (event: ServeEvent, detail: string) => void;
  readonly onEnd: () => void;
}

/** The server behind `serve`. */
export class SocketServer implements DeviceServer {
  readonly #device: VirtioDevice;
  readonly #options: ServerOptions;
  readonly #counters = new Counters();
  readonly #offload: LazyOffload;
  readonly #survival: Survival | null;
  readonly #listener: Listener | null;
  #connection: DeviceConnection | null = null;
  #closed = false;

  /** @param socket - connected or listening; null: listen at `options.socketPath` */
  constructor(device: VirtioDevice, socket: Fd | null, options: ServerOptions) {
    this.#device = device;
    this.#options = options;
    const { sys, loop, log } = options;
    this.#offload = new LazyOffload(sys, loop, options.offload);
    const listenerOptions: ListenerOptions = {
      sys,
      loop,
      log,
      logLimit: new RateLimit(() => sys.loop.nowNs(), 1),
      onConnection: (accepted) => this.#connect(accepted),
      onAcceptError: () => {
        this.#counters.acceptErrors++;
      },
    };
    const { survive } = options;
    this.#survival = survive === undefined ? null : new Survival(sys, device, survive, log);
    let listener: Listener | null = null;
    try {
      if (socket !== null && !adoptSocket(sys, socket.fd)) {
        this.#listener = null;
        this.#take(socket);
        return;
      }
      listener =
        socket === null
          ? this.#listenAtPath(listenerOptions, options.socketPath!)
          : Listener.onSocket(listenerOptions, socket);
      if (!this.#takeOver()) {
        listener.open();
      }
    } catch (error) {
      listener?.[Symbol.dispose]();
      this.#survival?.[Symbol.dispose]();
      throw error;
    }
    this.#listener = listener;
    options.onEvent('listening', options.socketPath ?? 'an inherited socket');
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  get stats(): Record<string, number> {
    const sum = Object.assign(new Counters(), this.#counters);
    const regions: Record<string, number> = {};
    this.#connection?.addStats(sum, regions);
    const named = Object.entries(regions).map(([name, value]) => [`region.${name}`, value]);
    return { ...sum, ...Object.fromEntries(named) };
  }

  handOver(): boolean {
    const survival = this.#survival;
    if (survival === null || this.#options.survive?.store === undefined || this.#closed) {
      throw new DeviceError('ERR_DEVICE_HANDOVER', `${this.#device.name}: nobody holds what is to be handed over`);
    }
    let frozen: FrozenDevice | undefined;
    try {
      frozen = this.#connection?.freeze();
    } catch (error) {
      if (error instanceof VhostUserError && error.code === 'ERR_VU_STATE') {
        return false;
      }
      throw error;
    }
    this.#connection = null;
    this.#closed = true;
    this.#listener?.leave();
    const held = frozen === undefined || survival.handover.put(frozen);
    this.#offload[Symbol.dispose]();
    survival[Symbol.dispose]();
    if (!held) {
      throw new DeviceError('ERR_DEVICE_HANDOVER', `${this.#device.name}: the store does not take the front-end`);
    }
    return true;
  }

  [Symbol.dispose](): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    // First of all: the rest may wait for a slow disk, and meanwhile nobody should come to one that leaves.
    this.#listener?.[Symbol.dispose]();
    this.#survival?.dropSocket();
    this.#connection?.[Symbol.dispose]();
    this.#offload[Symbol.dispose]();
    this.#survival?.[Symbol.dispose]();
  }

  /** At the path, or on the socket that the process before had there: who waits in its backlog is served then. */
  #listenAtPath(listenerOptions: ListenerOptions, path: string): Listener {
    const survival = this.#survival;
    const found = Listener.found(listenerOptions, path, survival?.takeSocket() ?? null);
    if (found !== null) {
      return found;
    }
    const made = Listener.atPath(listenerOptions, path, this.#options.socketGroup);
    survival?.holdSocket(made.fd);
    return made;
  }

  /** Goes on with the front-end that the process before handed over. @returns false when there is none, or it cannot be */
  #takeOver(): boolean {
    try {
      const frozen = this.#survival?.handover.take(this.#device.queueCount) ?? null;
      if (frozen !== null) {
        this.#take(frozen);
      }
      return frozen !== null;
    } catch (error) {
      this.#options.log.error(`${this.#device.name}: the front-end that was handed over is lost: ${String(error)}`);
      return false;
    }
  }

  /** A front-end came; one that cannot be served is let go, and the next may try. */
  #connect(socket: Fd): void {
    try {
      this.#take(socket);
    } catch (error) {
      this.#options.log.error(`${this.#device.name}: the front-end cannot be served: ${String(error)}`);
      this.#options.loop.defer(() => this.#next());
    }
  }

  #take(source: Fd | FrozenDevice): void {
    const { onEvent } = this.#options;
    this.#counters.connections++;
    this.#connection = new DeviceConnection(source, {
      ...this.#options,
      device: this.#device,
      offload: this.#offload,
      survival: this.#survival,
      counters: this.#counters,
      onRunning: (running) => onEvent(running ? 'started' : 'stopped', this.#device.name),
      onEnd: (reason) => this.#ended(reason),
    });
    onEvent('connected', this.#device.name);
  }

  #ended(reason: string): void {
    this.#connection = null;
    this.#options.onEvent('disconnected', reason);
    // The connection is still in the middle of its own end: whatever comes next waits for the present events.
    this.#options.loop.defer(() => this.#next());
  }

  #next(): void {
    if (this.#closed) {
      return;
    }
    if (this.#listener !== null && this.#counters.connections < this.#options.maxConnections) {
      this.#listener.open();
    } else {
      this.#listener?.[Symbol.dispose]();
      this.#options.onEnd();
    }
  }
}
