/** One vhost-user connection, back-end side: the main channel's messages go to the modules that serve them. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { MapTransport } from '@oriel/shm-region';
import { type EventLoop, type Fd, type Logger, type Sys, silentLogger } from '@oriel/sys';
import { Channel, type IncomingMessage } from '../channel.ts';
import { isProtocolViolation, VhostUserError } from '../errors.ts';
import {
  type FeatureSet,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_SHMEM,
} from '../features.ts';
import { VHOST_USER_NEED_REPLY_MASK, VHOST_USER_REPLY_FLAGS, VHOST_USER_REPLY_MASK } from '../layout.ts';
import type { FrontendProfile } from '../profiles.ts';
import { checkGate, checkShape, hasProtocolFeature } from '../protocol/check.ts';
import { encodeU64 } from '../protocol/encode.ts';
import { type FrontendMessageName, frontendMessage, type MessageSpec } from '../protocol/messages.ts';
import { BackChannel } from './back-channel.ts';
import { ConfigChange } from './config-change.ts';
import { ConfigSpace } from './config-space.ts';
import type { BackendHandler } from './handler.ts';
import { MemoryTable } from './memory-table.ts';
import { Negotiation } from './negotiation.ts';
import { RefusalLog } from './refusal-log.ts';
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

const ACK = 0;
/** What a refused message is answered with: the reason stays in the log. */
const REFUSED = 1;

/** One connection, back-end side: both channels, negotiation, memory, ring states. Ends by itself at a protocol error or EOF. */
export class BackendConnection implements Disposable {
  readonly memory: GuestMemory;
  /** Transport for BackendRegion: SHMEM_MAP / SHMEM_UNMAP on the back channel with the visibility fence of the profile. */
  readonly mapTransport: MapTransport;
  readonly #options: BackendOptions;
  readonly #handler: BackendHandler;
  readonly #log: Logger;
  readonly #refusals: RefusalLog;
  readonly #channel: Channel;
  readonly #negotiation: Negotiation;
  readonly #table: MemoryTable;
  readonly #rings: Rings;
  readonly #backChannel: BackChannel;
  readonly #transport: ShmemTransport;
  readonly #configChange: ConfigChange;
  readonly #handlers: RequestHandlers;
  #stopping = false;
  #closed = false;

  /** @throws RangeError for shared memory regions that the front-end cannot bear; SysError when the socket cannot be watched. The socket is closed then */
  constructor(options: BackendOptions) {
    this.#options = options;
    const { sys, loop, profile, handler, socket } = options;
    this.#handler = handler;
    this.#log = options.log ?? silentLogger;
    this.#refusals = new RefusalLog(this.#log);
    try {
      checkShmRegions(handler.shmRegions, profile, this.#log);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#negotiation = new Negotiation(handler, profile, this.#negotiationEvents(), this.#log);
    this.#table = new MemoryTable(sys, profile.maxMemSlots, () => handler.memoryChanged());
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
    this.#handlers = this.#allHandlers();
    this.#channel = new Channel({
      sys,
      loop,
      socket,
      peer: 'frontend',
      whileSending: 'pause',
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#close(error === null ? 'the front-end closed the connection' : error.message),
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
      ...new ConfigSpace(this.#handler, this.#log).handlers,
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

  #onMessage(message: IncomingMessage): void {
    const spec = frontendMessage(message.id);
    try {
      const reply = this.#serve(message, spec);
      if (reply !== null) {
        this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, reply);
      } else if (this.#wantsAck(message)) {
        this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, encodeU64(ACK));
      }
    } catch (error) {
      this.#refuse(message, spec, asProtocolError(error, spec));
    }
    if (!this.#closed && this.#table.settle()) {
      this.#transport.fences.tableChanged();
    }
  }

  /** @returns the payload of the message's own reply, or null */
  #serve(message: IncomingMessage, spec: MessageSpec<FrontendMessageName> | undefined): Uint8Array | null {
    if ((message.flags & VHOST_USER_REPLY_MASK) !== 0) {
      throw new VhostUserError('ERR_VU_FLAGS', 'frontend', `message ${message.id} is a reply; nothing was asked`);
    }
    if (spec === undefined) {
      throw new VhostUserError('ERR_VU_UNKNOWN', 'frontend', `message ${message.id} is not in the table`);
    }
    checkShape(spec, message.view, message.size, message.fds.count, 'frontend');
    checkGate(spec, this.#negotiation, 'frontend');
    const handler = this.#handlers[spec.name];
    if (handler === undefined) {
      throw new VhostUserError('ERR_VU_UNSUPPORTED', 'frontend', 'not served', { message: spec.name });
    }
    return handler(message);
  }

  /** A refusal is told where there is a way to tell it; a message that wanted no ack has none, so the connection ends. */
  #refuse(message: IncomingMessage, spec: MessageSpec | undefined, error: VhostUserError): void {
    const hasAck = spec === undefined || spec.reply === 'ack';
    const told = hasAck && this.#wantsAck(message);
    const ends = !told || isProtocolViolation(error);
    this.#refusals.refused(error, { request: message.id, connectionEnds: ends });
    if (told) {
      this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, encodeU64(REFUSED));
    }
    if (ends) {
      this.#close(error.message);
    }
  }

  #wantsAck(message: IncomingMessage): boolean {
    return (message.flags & VHOST_USER_NEED_REPLY_MASK) !== 0 && this.#negotiation.replyAck;
  }

  #setBackChannel(message: IncomingMessage): null {
    const socket = message.fds.take(0);
    if (this.#options.sys.socket.isListening(socket.fd) !== 0) {
      socket.close();
      throw new VhostUserError('ERR_VU_DESCRIPTOR', 'frontend', 'back channel is no connected socket');
    }
    this.#backChannel.attach(socket);
    return null;
  }

  #setGpuSocket(message: IncomingMessage): null {
    this.#handler.setGpuSocket!(message.fds.take(0));
    return null;
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

/** What a handler threw, as an error of this protocol. */
function asProtocolError(error: unknown, spec: MessageSpec | undefined): VhostUserError {
  if (error instanceof VhostUserError) {
    return error;
  }
  const place = spec === undefined ? {} : { message: spec.name };
  return new VhostUserError('ERR_VU_DEVICE', 'device', String(error), place, { cause: error });
}
