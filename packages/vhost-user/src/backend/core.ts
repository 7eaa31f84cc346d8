/** The modules that serve the messages of one connection, back-end side, and how they hang together. */
import type { GuestMemory } from '@oriel/guest-memory';
import { type Logger, silentLogger } from '@oriel/sys';
import { FsRequests } from '../dialect/fs-requests.ts';
import { fsForm, type MapDialect, mapDialect } from '../dialect/map-dialect.ts';
import { asProtocolError } from '../errors.ts';
import { VHOST_USER_PROTOCOL_F_CONFIG, VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS } from '../features.ts';
import { hasProtocolFeature } from '../protocol/check.ts';
import { RefusalLog } from '../refusal-log.ts';
import { allHandlers } from './all-handlers.ts';
import { BackChannel } from './back-channel.ts';
import { ConfigChange } from './config-change.ts';
import { DeviceState } from './device-state.ts';
import { type ConnectionModules, tellDevice } from './freezer.ts';
import { FrontRequests } from './front-requests.ts';
import type { BackendHandler } from './handler.ts';
import { Inflight } from './inflight.ts';
import { Logging } from './logging.ts';
import { MainChannel } from './main-channel.ts';
import { MemoryTable } from './memory-table.ts';
import { checkOfferedFeatures, Negotiation } from './negotiation.ts';
import { Notifications } from './notifications.ts';
import type { BackendOptions } from './options.ts';
import { Rings } from './rings.ts';
import { BackendSharedObjects } from './shared-objects.ts';
import { checkShmRegions } from './shm-config.ts';
import { ShmemTransport } from './shmem-transport.ts';

/** All modules of one connection. `BackendConnection` is what the outside sees of it. */
export class ConnectionCore {
  readonly memory: GuestMemory;
  /** FS_SYNC and FS_IO of the old virtio-fs dialect; null where the profile speaks SHMEM. */
  readonly fsRequests: FsRequests | null;
  /** Objects that devices of the VM share by UUID. */
  readonly sharedObjects: BackendSharedObjects;
  readonly #options: BackendOptions;
  readonly #handler: BackendHandler;
  readonly #log: Logger;
  readonly #refusals: RefusalLog;
  readonly channel: MainChannel;
  readonly negotiation: Negotiation;
  readonly table: MemoryTable;
  readonly inflight: Inflight;
  readonly logging: Logging;
  readonly deviceState: DeviceState;
  readonly rings: Rings;
  readonly backChannel: BackChannel;
  readonly #dialect: MapDialect;
  readonly transport: ShmemTransport;
  readonly configChange: ConfigChange;
  readonly notifications: Notifications;
  readonly requests: FrontRequests;
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
    const ringsRun = () => this.rings.running;
    const featuresAccepted = (enablesRings: boolean) => this.#featuresAccepted(enablesRings);
    const reset = () => this.#reset();
    this.negotiation = new Negotiation(handler, profile, { ringsRun, featuresAccepted, reset }, this.#log);
    this.table = new MemoryTable({
      sys,
      maxSlots: profile.maxMemSlots,
      changed: () => handler.memoryChanged(),
      release: (unmap) => (handler.releaseMemory === undefined ? unmap() : handler.releaseMemory(unmap)),
      needs: (file) => handler.needsMemory?.(file) ?? true,
    });
    this.memory = this.table.memory;
    this.inflight = new Inflight({ sys, handler, negotiated: this.negotiation, ringsRun });
    this.deviceState = new DeviceState({ sys, handler, ringsRun });
    this.logging = new Logging(
      { sys, loop, log: this.#log, negotiated: this.negotiation, onSwitch: () => this.#logSwitched() },
      handler.queueCount,
    );
    this.rings = this.#makeRings();
    const backChannel = this.#makeBackChannel();
    this.backChannel = backChannel;
    this.configChange = new ConfigChange({
      backChannel,
      mayTell: () => this.#maySend,
      negotiated: () => hasProtocolFeature(this.negotiation, VHOST_USER_PROTOCOL_F_CONFIG),
    });
    this.notifications = new Notifications({
      backChannel,
      maySend: () =>
        this.#maySend &&
        backChannel.open &&
        hasProtocolFeature(this.negotiation, VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS),
    });
    this.requests = new FrontRequests({ loop, backChannel, negotiated: this.negotiation });
    this.sharedObjects = new BackendSharedObjects(handler, this.requests);
    this.#dialect = mapDialect(profile);
    this.transport = new ShmemTransport({
      sys,
      loop,
      log: this.#log,
      profile,
      dialect: this.#dialect,
      memory: this.memory,
      backChannel,
      ready: () => this.#mayMap,
    });
    const form = fsForm(profile);
    const ready = () => this.#mayMap;
    this.fsRequests = form === null ? null : new FsRequests({ form, loop, backChannel, ready });
    this.channel = new MainChannel({
      sys,
      loop,
      socket,
      handlers: allHandlers(options, this, this.#refusals, reset),
      negotiated: this.negotiation,
      replyAck: () => this.negotiation.replyAck,
      refusals: this.#refusals,
      onAnswered: () => this.#settleMemory(),
      onEnd: (reason) => this.close(reason),
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Between start and stop of the rings, and not while a front-end that stops them all is at it. */
  get #maySend(): boolean {
    return this.rings.running && !this.#stopping && !this.#closed;
  }

  /** Without REPLY_ACK nothing would tell whether a mapping was made. */
  get #mayMap(): boolean {
    const negotiation = this.negotiation;
    return (
      this.#maySend &&
      this.backChannel.open &&
      negotiation.replyAck &&
      hasProtocolFeature(negotiation, this.#dialect.needs)
    );
  }

  #makeRings(): Rings {
    return new Rings({
      sys: this.#options.sys,
      handler: this.#handler,
      memory: this.memory,
      negotiated: this.negotiation,
      inflightArea: (index, size) => this.inflight.area(index, size),
      dirtyLog: (ring) => this.logging.ofRing(ring),
      onLogged: (ring) => this.logging.follow(ring),
      checkStart: () => this.deviceState.checkStart(),
      onResume: () => {
        this.#stopping = false;
        this.#handler.resumed();
      },
      onStarted: () => {
        this.#stopping = false;
        this.backChannel.pump();
        this.configChange.tell();
        this.notifications.send();
      },
      onStopping: () => {
        if (this.#options.profile.stopsTogether) {
          this.#stopping = true;
          this.transport.fences.releaseAnswered();
        }
      },
      onSuspend: () => {
        this.transport.fences.releaseAnswered();
        this.backChannel.cancelWaiting();
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
      replyAck: () => this.negotiation.replyAck,
      onAnswer: () => this.transport.fences.releaseAnswered(),
      onViolation: (error) => {
        this.#refusals.refused(error, {});
        this.close(error.message);
      },
    });
  }

  #featuresAccepted(enablesRings: boolean): void {
    this.logging.memory.featuresChanged();
    if (enablesRings) {
      this.rings.enableAll();
    }
  }

  #logSwitched(): void {
    if (this.rings.running) {
      this.#handler.logChanged?.();
      this.rings.relog();
    }
  }

  /** A change of memory counts once the front-end has its ack. */
  #settleMemory(): void {
    if (!this.#closed && this.table.settle()) {
      this.transport.fences.tableChanged();
    }
  }

  #reset(): void {
    this.rings.reset();
    this.inflight.clear();
    this.negotiation.clearStatus();
    if (this.#options.profile.resetClears) {
      this.transport.fences.forget();
    }
    this.#handler.reset();
  }

  /** What is written down of a connection. */
  get modules(): ConnectionModules {
    const { profile, handler } = this.#options;
    return { ...this, profile, handler, log: this.logging.memory };
  }

  /** After a thaw: the device hears what it would have heard from the front-end. */
  continue(configPending: boolean): void {
    if (this.#closed) {
      return;
    }
    try {
      tellDevice(this.modules, this.notifications, configPending, () => this.#settleMemory());
    } catch (error) {
      this.#refusals.refused(asProtocolError(error));
      this.close(String(error));
    }
  }

  /** Ends without a word to the device. */
  abandon(): void {
    this.#closed = true;
    this.channel[Symbol.dispose]();
    this.#guarded('back channel', () => this.backChannel[Symbol.dispose]());
    this.#guarded('configuration change', () => this.configChange[Symbol.dispose]());
    this.#release();
  }

  #release(): void {
    this.rings.release();
    this.inflight[Symbol.dispose]();
    this.logging.memory[Symbol.dispose]();
    this.memory[Symbol.dispose]();
  }

  /** Ends the connection: rings stop, the device hears of it, everything is released. Harmless a second time. */
  close(reason: string): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.channel[Symbol.dispose]();
    this.#guarded('stopping rings', () => this.rings.stopAll());
    this.#guarded('back channel', () => this.backChannel[Symbol.dispose]());
    this.#guarded('configuration change', () => this.configChange[Symbol.dispose]());
    this.#guarded('disconnected', () => this.#handler.disconnected(reason));
    this.#release();
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
