/** One vhost-user connection, back-end side: the modules that serve its messages, and how they hang together. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { MapTransport } from '@oriel/shm-region';
import { type EventLoop, type Fd, type Logger, type Sys, silentLogger } from '@oriel/sys';
import type { IncomingMessage } from '../channel.ts';
import { VhostUserError } from '../errors.ts';
import {
  type FeatureSet,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_SHMEM,
} from '../features.ts';
import type { FrontendProfile } from '../profiles.ts';
import { hasProtocolFeature } from '../protocol/check.ts';
import { RefusalLog } from '../refusal-log.ts';
import { BackChannel } from './back-channel.ts';
import { ConfigChange } from './config-change.ts';
import { ConfigSpace } from './config-space.ts';
import type { BackendHandler } from './handler.ts';
import { MainChannel } from './main-channel.ts';
import { MemoryTable } from './memory-table.ts';
import { checkOfferedFeatures, Negotiation } from './negotiation.ts';
import type { RequestHandlers } from './requests.ts';
import { Rings } from './rings.ts';
import { checkShmRegions, encodeShmConfig } from './shm-config.ts';
import { ShmemTransport } from './shmem-transport.ts';

/** What a back-end connection is made of. */
export interface BackendOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop' | 'file'>;
  readonly loop: EventLoop;
  /** Connected socket, given away. */
  readonly socket: Fd;
  readonly profile: FrontendProfile;
  readonly handler: BackendHandler;
  readonly log?: Logger;
}

/** One connection, back-end side: both channels, negotiation, memory, ring states. Ends by itself at a protocol error or EOF. */
export class BackendConnection implements Disposable {
  readonly memory: GuestMemory;
  /** Transport for BackendRegion: SHMEM_MAP / SHMEM_UNMAP on the back channel with the visibility fence of the profile. */
  readonly mapTransport: MapTransport;
  readonly #options: BackendOptions;
  readonly #handler: BackendHandler;
  readonly #log: Logger;
  readonly #refusals: RefusalLog;
  readonly #channel: MainChannel;
  readonly #negotiation: Negotiation;
  readonly #table: MemoryTable;
  readonly #rings: Rings;
  readonly #backChannel: BackChannel;
  readonly #transport: ShmemTransport;
  readonly #configChange: ConfigChange;
  #stopping = false;
  #closed = false;

  /**
   * @throws RangeError for shared memory regions that the front-end cannot bear, or features that are not served; SysError
   * when the socket cannot be watched. The socket is closed then
   */
  constructor(options: BackendOptions) {
    this.#options = options;
    const { sys, loop, profile, handler, socket } = options;
    this.#handler = handler;
    this.#log = options.log ?? silentLogger;
    this.#refusals = new RefusalLog(this.#log, 'vhost-user message refused');
    try {
      checkOfferedFeatures(handler.features);
      checkShmRegions(handler.shmRegions, profile, this.#log);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#negotiation = new Negotiation(handler, profile, this.#negotiationEvents(), this.#log);
    this.#table = new MemoryTable({
      sys,
      maxSlots: profile.maxMemSlots,
      changed: () => handler.memoryChanged(),
      release: (unmap) => (handler.releaseMemory === undefined ? unmap() : handler.releaseMemory(unmap)),
      needs: (file) => handler.needsMemory?.(file) ?? true,
    });
    this.memory = this.#table.memory;
    this.#rings = this.#makeRings();
    this.#backChannel = this.#makeBackChannel();
    this.#configChange = new ConfigChange({
      backChannel: this.#backChannel,
      mayTell: () => this.#maySend,
      negotiated: () => hasProtocolFeature(this.#negotiation, VHOST_USER_PROTOCOL_F_CONFIG),
    });
    this.#transport = new ShmemTransport({
      sys,
      loop,
      log: this.#log,
      profile,
      memory: this.memory,
      backChannel: this.#backChannel,
      ready: () => this.#mayMap,
    });
    this.mapTransport = this.#transport;
    this.#channel = new MainChannel({
      sys,
      loop,
      socket,
      handlers: this.#allHandlers(),
      negotiated: this.#negotiation,
      replyAck: () => this.#negotiation.replyAck,
      refusals: this.#refusals,
      onAnswered: () => this.#settleMemory(),
      onEnd: (reason) => this.#close(reason),
    });
  }

  /** Device features that the front-end accepted, without bit 30. */
  get acceptedFeatures(): FeatureSet {
    return this.#negotiation.features.without(VHOST_USER_F_PROTOCOL_FEATURES);
  }

  get acceptedProtocolFeatures(): FeatureSet {
    return this.#negotiation.protocolFeatures;
  }

  /** True between the first ring's start and the last ring's stop. */
  get running(): boolean {
    return this.#rings.running;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * CONFIG_CHANGE_MSG; only while running (dropped to a pending flag and sent at the next start otherwise).
   * @param done - 0, -EIO refused, -EOPNOTSUPP without CONFIG or back channel, -ECANCELED when the connection ended first
   */
  configChanged(done?: (error: number) => void): void {
    if (this.#closed) {
      throw new VhostUserError('ERR_VU_CLOSED', 'bug', 'the connection has ended');
    }
    this.#configChange.changed(done);
  }

  /** Tells the err eventfd of a ring, if there is one. @throws RangeError for a ring that does not exist */
  ringError(index: number): void {
    this.#rings.signalError(index);
  }

  /** Stops all rings, calls handler.disconnected, releases everything. */
  [Symbol.dispose](): void {
    this.#close('closed by the back-end');
  }

  /** Between start and stop of the rings, and not while a front-end that stops them all is at it. */
  get #maySend(): boolean {
    return this.#rings.running && !this.#stopping && !this.#closed;
  }

  /** Without REPLY_ACK nothing would tell whether a mapping was made. */
  get #mayMap(): boolean {
    const negotiation = this.#negotiation;
    return (
      this.#maySend &&
      this.#backChannel.open &&
      negotiation.replyAck &&
      hasProtocolFeature(negotiation, VHOST_USER_PROTOCOL_F_SHMEM)
    );
  }

  #negotiationEvents() {
    return {
      ringsRun: () => this.#rings.running,
      featuresAccepted: (enablesRings: boolean) => {
        if (enablesRings) {
          this.#rings.enableAll();
        }
      },
      reset: () => this.#reset(),
    };
  }

  #makeRings(): Rings {
    return new Rings({
      sys: this.#options.sys,
      handler: this.#handler,
      memory: this.memory,
      negotiated: this.#negotiation,
      onResume: () => {
        this.#stopping = false;
        this.#handler.resumed();
      },
      onStarted: () => {
        this.#stopping = false;
        this.#backChannel.pump();
        this.#configChange.tell();
      },
      onStopping: () => {
        if (this.#options.profile.stopsTogether) {
          this.#stopping = true;
          this.#transport.fences.releaseAnswered();
        }
      },
      onSuspend: () => {
        this.#transport.fences.releaseAnswered();
        this.#backChannel.cancelWaiting();
        this.#handler.suspended();
      },
    });
  }

  #makeBackChannel(): BackChannel {
    return new BackChannel({
      sys: this.#options.sys,
      loop: this.#options.loop,
      log: this.#log,
      maySend: () => this.#maySend,
      replyAck: () => this.#negotiation.replyAck,
      onAnswer: () => this.#transport.fences.releaseAnswered(),
      onViolation: (error) => {
        this.#refusals.refused(error, {});
        this.#close(error.message);
      },
    });
  }

  #allHandlers(): RequestHandlers {
    const shmConfig = encodeShmConfig(this.#handler.shmRegions);
    return {
      ...this.#negotiation.handlers,
      ...this.#table.handlers,
      ...this.#rings.handlers,
      ...new ConfigSpace(this.#handler, this.#refusals).handlers,
      RESET_OWNER: () => {
        this.#rings.disableAll();
        return null;
      },
      RESET_DEVICE: () => {
        this.#reset();
        return null;
      },
      SET_BACKEND_REQ_FD: (message) => this.#setBackChannel(message),
      GET_SHMEM_CONFIG: () => shmConfig,
      ...(this.#handler.setGpuSocket === undefined
        ? {}
        : { GPU_SET_SOCKET: (message: IncomingMessage) => this.#setGpuSocket(message) }),
    };
  }

  /** A change of memory counts once the front-end has its ack. */
  #settleMemory(): void {
    if (!this.#closed && this.#table.settle()) {
      this.#transport.fences.tableChanged();
    }
  }

  #setBackChannel(message: IncomingMessage): null {
    this.#backChannel.attach(this.#connectedSocket(message, 'back channel'));
    return null;
  }

  #setGpuSocket(message: IncomingMessage): null {
    this.#handler.setGpuSocket!(this.#connectedSocket(message, 'display channel'));
    return null;
  }

  /** The descriptor of a message that hands over a channel. @throws VhostUserError ERR_VU_DESCRIPTOR; it is closed then */
  #connectedSocket(message: IncomingMessage, what: string): Fd {
    const socket = message.fds.take(0);
    if (this.#options.sys.socket.isListening(socket.fd) !== 0) {
      socket.close();
      throw new VhostUserError('ERR_VU_DESCRIPTOR', 'frontend', `${what} is no connected socket`);
    }
    return socket;
  }

  #reset(): void {
    this.#rings.reset();
    if (this.#options.profile.resetClears) {
      this.#transport.fences.forget();
    }
    this.#handler.reset();
  }

  #close(reason: string): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#channel[Symbol.dispose]();
    this.#guarded('stopping rings', () => this.#rings.stopAll());
    this.#guarded('back channel', () => this.#backChannel[Symbol.dispose]());
    this.#guarded('configuration change', () => this.#configChange[Symbol.dispose]());
    this.#guarded('disconnected', () => this.#handler.disconnected(reason));
    this.#rings.release();
    this.memory[Symbol.dispose]();
  }

  /** What the device throws while everything ends must not keep the rest from being released. */
  #guarded(what: string, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#log.error('device failed while the connection ended', { what, error: String(error) });
    }
  }
}
