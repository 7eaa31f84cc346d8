/** A device on its socket: one front-end after the other. */
import type { EventLoop, Fd, HelperThreads, Logger, Sys } from '@oriel/sys';
import type { FeatureSet, FrontendProfile } from '@oriel/vhost-user';
import { Counters } from './counters.ts';
import type { VirtioDevice } from './device.ts';
import { DeviceConnection } from './device-connection.ts';
import { LazyOffload } from './lazy-offload.ts';
import { adoptSocket, Listener, type ListenerOptions } from './listener.ts';
import { RateLimit } from './rate-limit.ts';

/** What happened to a server: the life of its socket and of the front-end on it. */
export type ServeEvent = 'listening' | 'connected' | 'started' | 'stopped' | 'disconnected';

/** A device that is being served. */
export interface DeviceServer extends Disposable {
  /** True while a front-end is there. */
  readonly connected: boolean;
  /** Counters now, by name: see `Counters`; those of regions begin with `region.`. */
  readonly stats: Record<string, number>;
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
    if (socket !== null && !adoptSocket(sys, socket.fd)) {
      this.#listener = null;
      this.#take(socket);
      return;
    }
    this.#listener =
      socket === null
        ? Listener.atPath(listenerOptions, options.socketPath!, options.socketGroup)
        : Listener.onSocket(listenerOptions, socket);
    try {
      this.#listener.open();
    } catch (error) {
      this.#listener[Symbol.dispose]();
      throw error;
    }
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

  [Symbol.dispose](): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    // First of all: the rest may wait for a slow disk, and meanwhile nobody should come to one that leaves.
    this.#listener?.[Symbol.dispose]();
    this.#connection?.[Symbol.dispose]();
    this.#offload[Symbol.dispose]();
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

  #take(socket: Fd): void {
    const { onEvent } = this.#options;
    this.#counters.connections++;
    this.#connection = new DeviceConnection(socket, {
      ...this.#options,
      device: this.#device,
      offload: this.#offload,
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
