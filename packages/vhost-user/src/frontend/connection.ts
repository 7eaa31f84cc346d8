/** One vhost-user connection, front-end side: for tests, loopback VMs, benchmarks and authors of VMMs. */
import { check, Fd, type Logger, silentLogger } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import {
  type FeatureSet,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_SHMEM,
} from '../features.ts';
import { checkGate, type Negotiated } from '../protocol/check.ts';
import { encodeMemTable, encodeSingleRegion } from '../protocol/encode.ts';
import { frontendMessageNamed } from '../protocol/messages.ts';
import { Announcer } from './announcer.ts';
import { BackServer } from './back-server.ts';
import type { DirtyBitmap } from './dirty-bitmap.ts';
import { type LoggingPort, startLog, stopLog } from './dirty-logging.ts';
import type { FrontendOptions } from './handlers.ts';
import { FrontendMessages } from './messages.ts';
import { type NegotiationWish, NOTHING_NEGOTIATED, negotiate, type ShmRegion } from './negotiate.ts';
import type { Answer } from './request-port.ts';
import { type ReplyHandler, Requester } from './requester.ts';
import { type RingPort, type RingStart, startRing, stopRing } from './ring-steps.ts';
import { type Done, sequence } from './sequence.ts';
import type { SharedRegion } from './shared-region.ts';
import { StateTransfer } from './state-transfer.ts';
import { waitFor } from './wait.ts';

const WAIT_MS = 5000;
const STATE_LIMIT = 64 * 1024 * 1024;

/**
 * Callback style; `wait(start)` runs the loop until the callback came and returns the value (never inside a handler).
 * Errors are VhostUserError; a message whose feature was not negotiated is not sent and ends with ERR_VU_GATE.
 */
export class FrontendConnection extends FrontendMessages implements Disposable {
  readonly #options: FrontendOptions;
  readonly #log: Logger;
  readonly #requester: Requester;
  readonly #negotiated: Negotiated;
  readonly #announcer: Announcer | null;
  readonly #state: StateTransfer;
  #result = NOTHING_NEGOTIATED;
  #backServer: BackServer | null = null;

  constructor(options: FrontendOptions) {
    super();
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    const connection = this;
    this.#negotiated = {
      get features() {
        return connection.#result.features;
      },
      get protocolFeatures() {
        return connection.#result.protocolFeatures;
      },
      shmemBit: options.shmemBit ?? VHOST_USER_PROTOCOL_F_SHMEM,
    };
    this.#state = new StateTransfer({ ...this.port, sys: options.sys, loop: options.loop });
    const { announce } = options;
    this.#announcer =
      announce === undefined
        ? null
        : new Announcer({
            log: this.#log,
            place: announce,
            hasSlots: () => this.protocolFeatures.has(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS),
            add: (region, done) => this.addMemoryRegion(region, done),
            remove: (region, done) => this.removeMemoryRegion(region, done),
          });
    this.#requester = new Requester({
      sys: options.sys,
      loop: options.loop,
      socket: options.socket,
      log: this.#log,
      replyAck: () => this.protocolFeatures.has(VHOST_USER_PROTOCOL_F_REPLY_ACK),
      onClose: (error) => this.#onClose(error),
    });
  }

  /** Accepted device features, without bit 30. */
  get features(): FeatureSet {
    return this.#result.features.without(VHOST_USER_F_PROTOCOL_FEATURES);
  }

  get protocolFeatures(): FeatureSet {
    return this.#result.protocolFeatures;
  }

  /** The back-end's shared memory regions, by rising shmid. */
  get shmRegions(): readonly ShmRegion[] {
    return this.#result.shmRegions;
  }

  /** Rings that the back-end has; 1 where it does not say. */
  get queueCount(): number {
    return this.#result.queueCount;
  }

  get closed(): boolean {
    return this.#requester.closed;
  }

  /** SET_OWNER, GET_FEATURES, protocol features, SET_BACKEND_REQ_FD, queue number, shmem config; acks offered & wanted. */
  negotiate(want: NegotiationWish, done: Done): void {
    negotiate(
      {
        request: (name, payload, fds, reply) => this.#requester.request(name, payload, fds, reply),
        agreed: (result) => {
          this.#result = result;
        },
        openBackChannel: () => this.#openBackChannel(),
        shmemBit: this.#negotiated.shmemBit,
      },
      want,
      done,
    );
  }

  /** Replaces the memory table. At most 8 regions. ERR_VU_STATE while postcopy listens. */
  setMemoryTable(regions: readonly SharedRegion[], done: Done): void {
    const fds = regions.map((region) => region.fd);
    this.#memory('SET_MEM_TABLE', encodeMemTable(regions), fds, done);
  }

  /** ERR_VU_STATE while postcopy listens. */
  addMemoryRegion(region: SharedRegion, done: Done): void {
    this.#memory('ADD_MEM_REG', encodeSingleRegion(region), [region.fd], done);
  }

  /** The first memory of a connection: by slots where there are any, else in one table of at most 8 regions. */
  shareMemory(regions: readonly SharedRegion[], done: Done): void {
    if (this.protocolFeatures.has(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
      sequence(
        regions.map((region) => (next: Done) => this.addMemoryRegion(region, next)),
        done,
      );
    } else {
      this.setMemoryTable(regions, done);
    }
  }

  /** Sets a ring up and starts it. Its descriptors are lent for the call. @throws SysError EMFILE */
  startRing(ring: RingStart, done: Done): void {
    // The messages go out one by one, when the caller's descriptors may be gone: keep them for that long.
    const kick = this.#keep(ring.kickFd);
    const call = this.#keep(ring.callFd);
    startRing(this.#ringPort, ring, kick, call, (error) => {
      kick?.close();
      call?.close();
      done(error);
    });
  }

  /** ENABLE 0, GET_VRING_BASE. @param done - the ring's base */
  stopRing(index: number, done: Answer<number>): void {
    stopRing(this.#ringPort, index, 'GET_VRING_BASE', done);
  }

  /** As `stopRing`, but what is in flight stays so, written down in the in-flight area (GET_VRING_BASE_SKIP_DRAIN). */
  suspendRing(index: number, done: Answer<number>): void {
    stopRing(this.#ringPort, index, 'GET_VRING_BASE_SKIP_DRAIN', done);
  }

  /** The back-end logs what it writes from now on. @param bitmap - lent until logging stops, or the connection ends */
  startLog(bitmap: DirtyBitmap, done: Done): void {
    startLog(this.#loggingPort, bitmap, done);
  }

  stopLog(done: Done): void {
    stopLog(this.#loggingPort, done);
  }

  /** Fetches the device's state; all rings are stopped. @param limit - most bytes taken; default 64 MiB */
  saveState(done: Answer<Uint8Array>, limit = STATE_LIMIT): void {
    this.#state.save(limit, done);
  }

  /** Gives a state to the device; all rings are stopped. @param state - lent until `done` */
  loadState(state: Uint8Array, done: Done): void {
    this.#state.load(state, done);
  }

  /**
   * Any message of the table by name, raw and whatever was negotiated; the reply's descriptors are the caller's.
   * @param fds - lent for the call
   * @throws RangeError for a name outside the table
   */
  request(name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler): void {
    this.#requester.request(name, payload, fds, done);
  }

  /**
   * Runs the loop until `start`'s callback came. Never inside a handler.
   * @throws what the callback got as its error; VhostUserError ERR_VU_TIMEOUT
   */
  wait<T = void>(start: (done: (error: Error | null, value?: T) => void) => void, timeoutMs = WAIT_MS): T {
    return waitFor(this.#options.loop, this.#options.sys.loop, start, timeoutMs);
  }

  /** Closes both channels. What is unanswered ends with ERR_VU_CLOSED; `disconnected` is not called. */
  [Symbol.dispose](): void {
    this.#release();
    this.#requester[Symbol.dispose]();
  }

  get #ringPort(): RingPort {
    return { ...this.port, hasEnable: this.#result.features.has(VHOST_USER_F_PROTOCOL_FEATURES) };
  }

  get #loggingPort(): LoggingPort {
    return { ...this.port, offered: this.#result.offered, features: this.#result.features };
  }

  protected override send(name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler): void {
    try {
      checkGate(frontendMessageNamed(name), this.#negotiated, 'bug');
    } catch (error) {
      this.#options.loop.defer(() => done(error as VhostUserError, null));
      return;
    }
    this.#requester.request(name, payload, fds, done);
  }

  #memory(name: string, payload: Uint8Array, fds: readonly number[], done: Done): void {
    if (this.postcopy.listening) {
      const detail = 'the memory table stays as it is while postcopy listens';
      this.#options.loop.defer(() => done(new VhostUserError('ERR_VU_STATE', 'bug', detail, { message: name })));
      return;
    }
    this.ack(name, payload, fds, done);
  }

  #keep(fd: number): Fd | null {
    const { sys } = this.#options;
    return fd < 0 ? null : new Fd(sys.fd, check(sys.fd.dup(fd), 'dup'));
  }

  /** Makes the channel. @returns the back-end's end, for SET_BACKEND_REQ_FD */
  #openBackChannel(): Fd {
    const { sys, loop, handlers, sharedObjects } = this.#options;
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    const theirs = new Fd(sys.fd, pair[1]!);
    this.#backServer?.[Symbol.dispose]();
    this.#backServer = new BackServer({
      sys,
      loop,
      socket: new Fd(sys.fd, pair[0]!),
      log: this.#log,
      negotiated: this.#negotiated,
      handlers: handlers ?? {},
      shmRegions: () => this.shmRegions,
      queueCount: () => this.queueCount,
      objects: sharedObjects ?? null,
      exporter: this,
      announcer: this.#announcer,
    });
    return theirs;
  }

  #onClose(error: VhostUserError): void {
    this.#release();
    this.#options.handlers?.disconnected?.(error.message);
  }

  #release(): void {
    this.#backServer?.[Symbol.dispose]();
    this.#backServer = null;
    this.#options.sharedObjects?.forget(this);
    this.#state[Symbol.dispose]();
  }
}
