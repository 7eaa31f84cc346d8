/** Start and stop of rings (messages 11, 12, 18, 35 and 45), and all rings together. */
import type { Sys } from '@oriel/sys';
import {
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN,
} from '../features.ts';
import { VhostVringState } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { hasProtocolFeature } from '../protocol/check.ts';
import { encodeVringState } from '../protocol/encode.ts';
import { type Answer, PendingAnswer, type RequestHandlers } from './requests.ts';
import type { Ring } from './ring.ts';
import { RingConfig, type RingConfigOptions } from './ring-config.ts';
import { RingDrains } from './ring-drain.ts';
import { freshBase } from './ring-geometry.ts';
import { RingList, ringRefusal } from './ring-list.ts';
import { RingRunner, type RingRunnerOptions } from './ring-runner.ts';

/** What the rings need of the connection. */
export interface RingsOptions extends RingRunnerOptions, RingConfigOptions {
  readonly sys: Pick<Sys, 'fd' | 'loop' | 'file'>;
}

/** All rings of a device. */
export class Rings {
  readonly handlers: RequestHandlers;
  readonly #options: RingsOptions;
  readonly #list: RingList;
  readonly #runner: RingRunner;
  readonly #drains: RingDrains;

  constructor(options: RingsOptions) {
    this.#options = options;
    this.#list = new RingList(options.sys, options.handler.queueCount);
    this.#drains = new RingDrains(options.handler, options.onStopping);
    this.#runner = new RingRunner(options);
    this.handlers = {
      ...new RingConfig(options, this.#list).handlers,
      GET_VRING_BASE: (message) => this.#getBase(message, false),
      GET_VRING_BASE_SKIP_DRAIN: (message) => this.#getBase(message, true),
      VRING_KICK: (message) => this.#kick(message),
      SET_VRING_KICK: (message) => this.#setKick(message),
      SET_VRING_ENABLE: (message) => this.#setEnable(message),
    };
  }

  /** True between the first ring's start and the last ring's stop. */
  get running(): boolean {
    return this.#runner.running;
  }

  /** SET_FEATURES without bit 30: there is no SET_VRING_ENABLE, every ring is enabled. */
  enableAll(): void {
    for (const ring of this.#list.rings) {
      ring.enabled = true;
      this.#runner.startWhenComplete(ring);
    }
  }

  /**
   * Dirty logging began or ended: each running ring gets its log, or loses it.
   * @throws what the device threw first; a ring that was to start again at its place is stopped then
   */
  relog(): void {
    const { handler, dirtyLog } = this.#options;
    this.#forAll((ring) => {
      if (!ring.running) {
        return;
      }
      if (handler.logRing !== undefined) {
        handler.logRing(ring.index, dirtyLog(ring));
        return;
      }
      this.#exchange(ring, () => {});
    });
  }

  /** Stops every ring; set-up stays. @throws what the device threw first, after all were stopped */
  stopAll(): void {
    this.#forAll((ring) => this.#runner.stop(ring));
  }

  /** RESET_DEVICE and its kin: all rings stopped, disabled and unconfigured. */
  reset(): void {
    this.stopAll();
    for (const ring of this.#list.rings) {
      ring.reset();
    }
  }

  /** RESET_OWNER: all rings stopped and disabled. */
  disableAll(): void {
    this.stopAll();
    for (const ring of this.#list.rings) {
      ring.enabled = false;
    }
  }

  /**
   * Tells the err eventfd of a ring. @returns false where it has none
   * @throws RangeError for a ring that does not exist
   */
  signalError(index: number): boolean {
    return this.#signal(index, 'err');
  }

  /** As `signalError`, for its call eventfd. */
  signalCall(index: number): boolean {
    return this.#signal(index, 'call');
  }

  /** All rings, for one who writes them down or reads them back. They are stopped. */
  get list(): RingList {
    return this.#list;
  }

  /** Tells the device of call descriptors, and starts what is complete. @throws what the device threw first */
  startAll(): void {
    this.#forAll((ring) => {
      this.#options.onLogged(ring);
      if (ring.call !== null) {
        this.#options.handler.setCall(ring.index, ring.call.fd);
      }
      this.#runner.startWhenComplete(ring);
    });
  }

  /** Rings that run without a call eventfd. */
  get withoutCall(): number[] {
    return this.#list.rings.filter((ring) => ring.running && ring.call === null).map((ring) => ring.index);
  }

  /** Closes all descriptors. The rings were stopped before. */
  release(): void {
    for (const ring of this.#list.rings) {
      ring.release();
    }
  }

  /** The device gets a running ring again at its place; one that drains goes on with that. */
  #exchange(ring: Ring, change: () => void): void {
    const drains = ring.drain !== null;
    this.#runner.exchange(ring, change);
    if (drains) {
      this.#drains.begin(ring);
    }
  }

  #signal(index: number, which: 'err' | 'call'): boolean {
    const ring = this.#list.rings[index];
    if (ring === undefined) {
      throw new RangeError(`no ring ${index}`);
    }
    const fd = ring[which];
    if (fd === null) {
      return false;
    }
    this.#options.sys.loop.eventfdSignal(fd.fd);
    return true;
  }

  /** Does something to every ring, whatever it throws at one. @throws what came first */
  #forAll(step: (ring: Ring) => void): void {
    const errors: unknown[] = [];
    for (const ring of this.#list.rings) {
      try {
        step(ring);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) {
      throw errors[0];
    }
  }

  #getBase({ view }: IncomingMessage, skipDrain: boolean): Answer {
    const ring = this.#list.ring(VhostVringState.index.get(view, 0));
    if (!ring.running || !this.#drains.served || skipDrain || this.#mayLeave(ring)) {
      return this.#stopForGood(ring);
    }
    const answer = new PendingAnswer();
    this.#drains.whenDone(ring, () => {
      try {
        answer.give(this.#stopForGood(ring));
      } catch (error) {
        answer.fail(error);
      }
    });
    return answer;
  }

  /** What is in flight may stay so, in the in-flight area, and the front-end has no other message to ask for that. */
  #mayLeave(ring: Ring): boolean {
    const { negotiated, inflightArea } = this.#options;
    return (
      hasProtocolFeature(negotiated, VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT) &&
      !hasProtocolFeature(negotiated, VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN) &&
      inflightArea(ring.index, ring.size) !== null
    );
  }

  #stopForGood(ring: Ring): Uint8Array {
    this.#runner.stop(ring);
    ring.stop();
    return encodeVringState(ring.index, ring.base ?? freshBase(this.#options.negotiated.features));
  }

  /** VRING_KICK starts a ring, as a kick does, and tells the device of one that runs. */
  #kick({ view }: IncomingMessage): null {
    const ring = this.#list.ring(VhostVringState.index.get(view, 0));
    if (ring.size === 0 || ring.addresses === null) {
      throw ringRefusal('ERR_VU_STATE', ring.index, 'kick before size and addresses');
    }
    ring.started = true;
    this.#runner.startWhenComplete(ring);
    if (ring.running && ring.drain === null) {
      this.#options.handler.kicked?.(ring.index);
    }
    return null;
  }

  #setKick(message: IncomingMessage): null {
    const ring = this.#list.ringOfFd(message);
    if (ring.size === 0 || ring.addresses === null) {
      throw ringRefusal('ERR_VU_STATE', ring.index, 'kick before size and addresses');
    }
    const kick = this.#list.eventFd(ring, message);
    const put = () => {
      ring.kick?.close();
      ring.kick = kick;
      ring.started = true;
    };
    try {
      if (ring.running) {
        this.#exchange(ring, put);
      } else {
        put();
        this.#runner.startWhenComplete(ring);
      }
    } catch (error) {
      kick?.close();
      ring.stop();
      throw error;
    }
    return null;
  }

  #setEnable({ view }: IncomingMessage): null {
    const ring = this.#list.ring(VhostVringState.index.get(view, 0));
    const num = VhostVringState.num.get(view, 0);
    if (num > 1) {
      throw ringRefusal('ERR_VU_RING', ring.index, `enable ${num}, wants 0 or 1`);
    }
    if (num === 0) {
      ring.enabled = false;
      if (ring.running && this.#drains.served) {
        this.#drains.begin(ring);
      } else {
        this.#runner.stop(ring);
      }
      return null;
    }
    ring.enabled = true;
    try {
      if (ring.drain === null) {
        this.#runner.startWhenComplete(ring);
      } else {
        this.#runner.exchange(ring, () => {});
        this.#options.onStarted();
      }
    } catch (error) {
      ring.enabled = false;
      throw error;
    }
    return null;
  }
}
