/** One vhost-user connection, front-end side: for tests, loopback VMs, benchmarks and authors of VMMs. */
import { check, Fd, type Logger, silentLogger } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import {
  FeatureSet,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_SHMEM,
} from '../features.ts';
import { VhostUserConfig, VhostUserU64 } from '../layout.ts';
import type { Negotiated } from '../protocol/check.ts';
import { encodeConfig, encodeMemTable, encodeSingleRegion, encodeU64 } from '../protocol/encode.ts';
import { Announcer } from './announcer.ts';
import { BackServer } from './back-server.ts';
import type { FrontendOptions } from './handlers.ts';
import { type NegotiationResult, type NegotiationWish, negotiate } from './negotiate.ts';
import { type ReplyHandler, Requester } from './requester.ts';
import { type RingPort, type RingStart, startRing, stopRing } from './ring-steps.ts';
import type { Done } from './sequence.ts';
import type { RegionName, SharedRegion } from './shared-region.ts';
import { waitFor } from './wait.ts';

const EMPTY = new Uint8Array(0);
const WAIT_MS = 5000;

/** What was negotiated, before it was. */
const NOTHING: NegotiationResult = {
  features: new FeatureSet(),
  protocolFeatures: new FeatureSet(),
  queueCount: 1,
  shmRegions: [],
};

/**
 * Callback style; `wait(start)` runs the loop until the callback came and returns the value (never inside a handler).
 * Errors are VhostUserError.
 */
export class FrontendConnection implements Disposable {
  readonly #options: FrontendOptions;
  readonly #log: Logger;
  readonly #requester: Requester;
  readonly #negotiated: Negotiated;
  readonly #announcer: Announcer | null;
  #result = NOTHING;
  #backServer: BackServer | null = null;

  constructor(options: FrontendOptions) {
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
  get shmRegions(): readonly { readonly shmid: number; readonly size: number }[] {
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

  /** Reads configuration bytes [offset, offset + size). */
  getConfig(offset: number, size: number, done: (error: Error | null, bytes: Uint8Array) => void): void {
    this.#requester.request('GET_CONFIG', encodeConfig(offset, size, 0), [], (error, reply) => {
      const payload = reply?.payload ?? EMPTY;
      if (error !== null) {
        done(error, EMPTY);
      } else if (payload.length !== VhostUserConfig.byteLength + size) {
        const detail = `${payload.length} bytes for a range of ${size}`;
        done(new VhostUserError('ERR_VU_REFUSED', 'backend', detail, { message: 'GET_CONFIG' }), EMPTY);
      } else {
        done(null, payload.subarray(VhostUserConfig.byteLength));
      }
    });
  }

  setConfig(offset: number, bytes: Uint8Array, done: Done): void {
    this.#ack('SET_CONFIG', encodeConfig(offset, bytes.length, 0, bytes), [], done);
  }

  /** Replaces the memory table. At most 8 regions. */
  setMemoryTable(regions: readonly SharedRegion[], done: Done): void {
    this.#ack(
      'SET_MEM_TABLE',
      encodeMemTable(regions),
      regions.map((region) => region.fd),
      done,
    );
  }

  addMemoryRegion(region: SharedRegion, done: Done): void {
    this.#ack('ADD_MEM_REG', encodeSingleRegion(region), [region.fd], done);
  }

  removeMemoryRegion(region: RegionName, done: Done): void {
    this.#ack('REM_MEM_REG', encodeSingleRegion({ ...region, mmapOffset: 0 }), [], done);
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

  /** ENABLE 0, GET_VRING_BASE. */
  stopRing(index: number, done: (error: Error | null, base: number) => void): void {
    stopRing(this.#ringPort, index, done);
  }

  setStatus(status: number, done: Done): void {
    this.#ack('SET_STATUS', encodeU64(status), [], done);
  }

  getStatus(done: (error: Error | null, status: number) => void): void {
    this.#requester.request('GET_STATUS', EMPTY, [], (error, reply) => {
      done(error, reply === null ? 0 : VhostUserU64.value.get(dataView(reply.payload), 0));
    });
  }

  resetDevice(done: Done): void {
    this.#ack('RESET_DEVICE', EMPTY, [], done);
  }

  /**
   * Any message of the table by name, raw; the reply's descriptors are the caller's.
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
    this.#backServer?.[Symbol.dispose]();
    this.#backServer = null;
    this.#requester[Symbol.dispose]();
  }

  get #ringPort(): RingPort {
    return {
      request: (name, payload, fds, done) => this.#requester.request(name, payload, fds, done),
      hasEnable: this.#result.features.has(VHOST_USER_F_PROTOCOL_FEATURES),
    };
  }

  #ack(name: string, payload: Uint8Array, fds: readonly number[], done: Done): void {
    this.#requester.request(name, payload, fds, (error) => done(error));
  }

  #keep(fd: number): Fd | null {
    const { sys } = this.#options;
    return fd < 0 ? null : new Fd(sys.fd, check(sys.fd.dup(fd), 'dup'));
  }

  /** Makes the channel. @returns the back-end's end, for SET_BACKEND_REQ_FD */
  #openBackChannel(): Fd {
    const { sys, loop, handlers } = this.#options;
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
      announcer: this.#announcer,
    });
    return theirs;
  }

  #onClose(error: VhostUserError): void {
    this.#backServer?.[Symbol.dispose]();
    this.#backServer = null;
    this.#options.handlers?.disconnected?.(error.message);
  }
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
