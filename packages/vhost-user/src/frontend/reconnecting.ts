/** A front-end that outlives its back-end: what a VMM with `reconnect` is, for tests and for those who write one. */
import { errnoName, Fd, type Logger, type LoopTimer, silentLogger } from '@oriel/sys';
import { asProtocolError, VhostUserError } from '../errors.ts';
import { VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD } from '../features.ts';
import { RefusalLog } from '../refusal-log.ts';
import { type Agreement, agreementOf, unlike, wishFor } from './agreement.ts';
import { FrontendConnection } from './connection.ts';
import type { InflightArea } from './inflight-area.ts';
import type { NegotiationWish } from './negotiate.ts';
import type { ReconnectingOptions, ReconnectingRing } from './reconnecting-options.ts';
import type { Answer } from './request-port.ts';
import { type Done, sequence } from './sequence.ts';
import { runUntil } from './wait.ts';

interface KnownRing {
  readonly ring: ReconnectingRing;
  /** The connection that it was last started on, and whether it got there. */
  on: FrontendConnection | null;
  runs: boolean;
  /** Waits for the first start; null once it was. */
  done: Done | null;
}

const RETRY_MS = 100;
const ATTEMPT_MS = 5000;
const WAIT_MS = 10_000;

/**
 * Connects, and connects again whenever its back-end goes: the same features (a back-end that lacks one is refused), the
 * same memory, the in-flight area that the first one gave, all rings from where their used ring stands. Each ring is then
 * kicked and called, since the last kick or call of the dead back-end may be lost.
 */
export class ReconnectingFrontend implements Disposable {
  readonly #options: ReconnectingOptions;
  readonly #log: Logger;
  readonly #refusals: RefusalLog;
  readonly #rings = new Map<number, KnownRing>();
  #connection: FrontendConnection | null = null;
  #standing = false;
  #timer: LoopTimer | null = null;
  #agreed: Agreement | null = null;
  #area: InflightArea | null = null;
  #connections = 0;
  #closed = false;

  /** Nothing happens before `start`. */
  constructor(options: ReconnectingOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    this.#refusals = new RefusalLog(this.#log, 'back-end not usable');
  }

  /** The connection that stands, or null while there is none. */
  get connection(): FrontendConnection | null {
    return this.#standing ? this.#connection : null;
  }

  /** Connections that stood so far, this one included. */
  get connections(): number {
    return this.#connections;
  }

  /** Begins to connect. @throws VhostUserError ERR_VU_STATE when it has begun before, or is closed */
  start(): void {
    if (this.#closed || this.#connection !== null || this.#timer !== null) {
      throw new VhostUserError('ERR_VU_STATE', 'bug', 'started already');
    }
    this.#retry(0);
  }

  /** Starts a ring, now or once a connection stands, and on each one after. @param done - it runs, or was refused for good */
  startRing(ring: ReconnectingRing, done: Done): void {
    const known: KnownRing = { ring, on: null, runs: false, done };
    this.#rings.set(ring.index, known);
    if (this.connection !== null) {
      this.#startLate(this.connection, known);
    }
  }

  /**
   * Stops a ring for good.
   * @param done - its base: the back-end's, or the ring's own where none runs it; ERR_VU_STATE while it is being started
   */
  stopRing(index: number, done: Answer<number>): void {
    const known = this.#rings.get(index);
    const connection = this.#connection;
    if (known === undefined || connection === null || known.on !== connection) {
      this.#rings.delete(index);
      this.#options.loop.defer(() => done(null, known?.ring.base() ?? 0));
    } else if (known.runs) {
      this.#rings.delete(index);
      connection.stopRing(index, done);
    } else {
      const busy = new VhostUserError('ERR_VU_STATE', 'bug', 'the ring is being started', { ring: index });
      this.#options.loop.defer(() => done(busy));
    }
  }

  /**
   * Runs the loop until `condition` holds, over any number of back-ends. Never inside a handler.
   * @throws VhostUserError ERR_VU_TIMEOUT
   */
  waitUntil(condition: () => boolean, timeoutMs = WAIT_MS): void {
    runUntil(this.#options.loop, this.#options.sys.loop, condition, timeoutMs);
  }

  /** Closes the connection and the in-flight area. `down` is not called. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#drop();
    this.#area?.[Symbol.dispose]();
    this.#area = null;
    const ended = new VhostUserError('ERR_VU_CLOSED', 'backend', 'closed by the front-end');
    for (const known of this.#rings.values()) {
      started(known, ended);
    }
    this.#rings.clear();
  }

  #retry(delayMs: number): void {
    this.#timer = this.#options.loop.timer(delayMs, () => {
      this.#timer = null;
      this.#attempt();
    });
  }

  #attempt(): void {
    const { connect, sys, retryMs, attemptMs } = this.#options;
    const socket = connect();
    if (socket < 0) {
      this.#log.debug('no back-end yet', { reason: errnoName(-socket) });
      this.#retry(retryMs ?? RETRY_MS);
      return;
    }
    const connection = new FrontendConnection({
      ...this.#options,
      socket: new Fd(sys.fd, socket),
      handlers: {
        ...this.#options.handlers,
        disconnected: (reason) => {
          this.#options.handlers?.disconnected?.(reason);
          this.#lost(connection, new VhostUserError('ERR_VU_CLOSED', 'backend', `it ended by ${reason}`));
        },
      },
    });
    this.#connection = connection;
    this.#timer = this.#options.loop.timer(attemptMs ?? ATTEMPT_MS, () => {
      this.#timer = null;
      this.#lost(connection, new VhostUserError('ERR_VU_TIMEOUT', 'backend', 'the back-end does not answer'));
    });
    sequence(
      [
        (next) => connection.negotiate(this.#wish, next),
        (next) => next(this.#agree(connection)),
        (next) => this.#shareInflight(connection, next),
        (next) => connection.shareMemory(this.#options.memory, next),
        (next) => this.#startRings(connection, next),
      ],
      (error) => (error === null ? this.#stand(connection) : this.#lost(connection, error)),
    );
  }

  get #wish(): NegotiationWish {
    return this.#agreed === null ? this.#options.want : wishFor(this.#agreed);
  }

  #agree(connection: FrontendConnection): VhostUserError | null {
    this.#agreed ??= agreementOf(connection);
    return unlike(this.#agreed, connection);
  }

  #shareInflight(connection: FrontendConnection, next: Done): void {
    const { inflight } = this.#options;
    if (!connection.protocolFeatures.has(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) || inflight === undefined) {
      next(null);
    } else if (this.#area !== null) {
      connection.setInflight(this.#area, next);
    } else {
      connection.getInflight(inflight.queueCount, inflight.queueSize, (error, area) => {
        if (area === undefined) {
          next(error);
        } else if (this.#connection === connection) {
          this.#area = area;
          connection.setInflight(area, next);
        } else {
          area[Symbol.dispose]();
        }
      });
    }
  }

  #startRings(connection: FrontendConnection, next: Done): void {
    const starts = [...this.#rings.values()].map((known) => (running: Done) => this.#begin(connection, known, running));
    sequence(starts, next);
  }

  #begin(connection: FrontendConnection, known: KnownRing, done: Done): void {
    const { ring } = known;
    if (this.#rings.get(ring.index) !== known) {
      done(null);
      return;
    }
    known.on = connection;
    known.runs = false;
    connection.startRing({ ...ring, base: ring.base() }, (error) => {
      if (error === null) {
        known.runs = true;
        started(known, null);
      }
      done(error);
    });
  }

  /** A ring that came when the connection stood, or was about to: its refusal is its own. */
  #startLate(connection: FrontendConnection, known: KnownRing): void {
    this.#begin(connection, known, (error) => {
      // Where the back-end has gone, the next one starts the ring.
      if (error !== null && !connection.closed) {
        this.#rings.delete(known.ring.index);
        started(known, error);
      }
    });
  }

  #stand(connection: FrontendConnection): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#standing = true;
    this.#connections++;
    const again = this.#connections > 1;
    if (again) {
      for (const { ring } of this.#rings.values()) {
        this.#notify(connection, ring);
      }
    }
    for (const known of [...this.#rings.values()].filter(({ on }) => on !== connection)) {
      this.#startLate(connection, known);
    }
    this.#options.up?.(connection, again);
  }

  /** A kick that the dead back-end took, and a call that it did not get to, are made good. Either may be one too many. */
  #notify(connection: FrontendConnection, ring: ReconnectingRing): void {
    const { loop } = this.#options.sys;
    if (ring.kickFd >= 0) {
      loop.eventfdSignal(ring.kickFd);
    } else if (connection.protocolFeatures.has(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS)) {
      connection.kickRing(ring.index, (error) => {
        if (error !== null) {
          this.#log.warn('kick failed', { ring: ring.index, error: error.message });
        }
      });
    }
    if (ring.callFd >= 0) {
      loop.eventfdSignal(ring.callFd);
    }
  }

  /** The first to say so counts: an attempt that fails also closes its connection. */
  #lost(connection: FrontendConnection, error: Error): void {
    if (this.#connection !== connection) {
      return;
    }
    if (!this.#standing) {
      this.#refusals.refused(asProtocolError(error));
    }
    this.#drop();
    this.#retry(this.#options.retryMs ?? RETRY_MS);
    this.#options.down?.(error);
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#standing = false;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    connection?.[Symbol.dispose]();
  }
}

function started(known: KnownRing, error: Error | null): void {
  const { done } = known;
  known.done = null;
  done?.(error);
}
