/** Set-up, start and stop of rings (messages 8 to 14 and 18). */
import type { Fd, Sys } from '@oriel/sys';
import type { IncomingMessage } from '../channel.ts';
import type { VhostUserErrorCode } from '../errors.ts';
import { VhostUserError } from '../errors.ts';
import {
  VHOST_USER_VRING_IDX_MASK,
  VHOST_USER_VRING_NOFD_MASK,
  VHOST_VRING_F_LOG,
  VhostUserU64,
  VhostVringAddr,
  VhostVringState,
} from '../layout.ts';
import { encodeVringState } from '../protocol/encode.ts';
import { isEventfd } from './event-fd.ts';
import type { RequestHandlers } from './requests.ts';
import { Ring } from './ring.ts';
import { checkRingAddresses, checkRingBase, checkRingSize, freshBase } from './ring-geometry.ts';
import { RingRunner, type RingRunnerOptions } from './ring-runner.ts';

/** What the rings need of the connection. */
export interface RingsOptions extends RingRunnerOptions {
  readonly sys: Pick<Sys, 'fd' | 'loop' | 'file'>;
}

/** All rings of a device. */
export class Rings {
  readonly handlers: RequestHandlers = {
    SET_VRING_NUM: (message) => this.#setNum(message),
    SET_VRING_ADDR: (message) => this.#setAddr(message),
    SET_VRING_BASE: (message) => this.#setBase(message),
    GET_VRING_BASE: (message) => this.#getBase(message),
    SET_VRING_KICK: (message) => this.#setKick(message),
    SET_VRING_CALL: (message) => this.#setCall(message),
    SET_VRING_ERR: (message) => this.#setErr(message),
    SET_VRING_ENABLE: (message) => this.#setEnable(message),
  };
  readonly #options: RingsOptions;
  readonly #rings: readonly Ring[];
  readonly #runner: RingRunner;

  constructor(options: RingsOptions) {
    this.#options = options;
    this.#runner = new RingRunner(options);
    this.#rings = Array.from({ length: options.handler.queueCount }, (_, index) => new Ring(index));
  }

  /** True between the first ring's start and the last ring's stop. */
  get running(): boolean {
    return this.#runner.running;
  }

  /** SET_FEATURES without bit 30: there is no SET_VRING_ENABLE, every ring is enabled. */
  enableAll(): void {
    for (const ring of this.#rings) {
      ring.enabled = true;
      this.#runner.startWhenComplete(ring);
    }
  }

  /** Stops every ring; set-up stays. @throws what the device threw first, after all were stopped */
  stopAll(): void {
    const errors: unknown[] = [];
    for (const ring of this.#rings) {
      try {
        this.#runner.stop(ring);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) {
      throw errors[0];
    }
  }

  /** RESET_DEVICE and its kin: all rings stopped, disabled and unconfigured. */
  reset(): void {
    this.stopAll();
    for (const ring of this.#rings) {
      ring.reset();
    }
  }

  /** RESET_OWNER: all rings stopped and disabled. */
  disableAll(): void {
    this.stopAll();
    for (const ring of this.#rings) {
      ring.enabled = false;
    }
  }

  /** Tells the err eventfd of a ring, if there is one. @throws RangeError for a ring that does not exist */
  signalError(index: number): void {
    const ring = this.#rings[index];
    if (ring === undefined) {
      throw new RangeError(`no ring ${index}`);
    }
    if (ring.err !== null) {
      this.#options.sys.loop.eventfdSignal(ring.err.fd);
    }
  }

  /** Closes all descriptors. The rings were stopped before. */
  release(): void {
    for (const ring of this.#rings) {
      ring.release();
    }
  }

  #setNum({ view }: IncomingMessage): null {
    const ring = this.#ring(VhostVringState.index.get(view, 0));
    const size = VhostVringState.num.get(view, 0);
    this.#refuseWhileRunning(ring, size !== ring.size);
    checkRingSize(ring.index, size, this.#options.handler.maxQueueSize, this.#options.negotiated.features);
    ring.size = size;
    return null;
  }

  /** The same addresses may come again while the ring runs: front-ends do so to switch logging. */
  #setAddr({ view }: IncomingMessage): null {
    const ring = this.#ring(VhostVringAddr.index.get(view, 0));
    const flags = VhostVringAddr.flags.get(view, 0);
    if ((flags & ~VHOST_VRING_F_LOG) !== 0) {
      throw refusal('ERR_VU_RING', ring.index, `address flags 0x${flags.toString(16)}`);
    }
    const addresses = {
      desc: VhostVringAddr.desc.get(view, 0),
      avail: VhostVringAddr.avail.get(view, 0),
      used: VhostVringAddr.used.get(view, 0),
    };
    const old = ring.addresses;
    const same =
      old !== null && old.desc === addresses.desc && old.avail === addresses.avail && old.used === addresses.used;
    this.#refuseWhileRunning(ring, !same);
    const { memory, negotiated } = this.#options;
    if (memory.regions.length === 0) {
      throw refusal('ERR_VU_STATE', ring.index, 'addresses before any memory');
    }
    checkRingAddresses(ring.index, ring.size, addresses, negotiated.features, memory);
    ring.addresses = addresses;
    return null;
  }

  #setBase({ view }: IncomingMessage): null {
    const ring = this.#ring(VhostVringState.index.get(view, 0));
    const base = VhostVringState.num.get(view, 0);
    this.#refuseWhileRunning(ring, true);
    checkRingBase(ring.index, ring.size, base, this.#options.negotiated.features);
    ring.base = base;
    return null;
  }

  #getBase({ view }: IncomingMessage): Uint8Array {
    const ring = this.#ring(VhostVringState.index.get(view, 0));
    this.#runner.stop(ring);
    ring.stop();
    return encodeVringState(ring.index, ring.base ?? freshBase(this.#options.negotiated.features));
  }

  #setKick(message: IncomingMessage): null {
    const ring = this.#ringOfFd(message);
    if (ring.size === 0 || ring.addresses === null) {
      throw refusal('ERR_VU_STATE', ring.index, 'kick before size and addresses');
    }
    const kick = this.#eventFd(ring, message);
    const put = () => {
      ring.kick?.close();
      ring.kick = kick;
      ring.started = true;
    };
    try {
      if (ring.running) {
        this.#runner.exchange(ring, put);
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

  #setCall(message: IncomingMessage): null {
    const ring = this.#ringOfFd(message);
    const old = ring.call;
    ring.call = this.#eventFd(ring, message);
    try {
      this.#options.handler.setCall(ring.index, ring.call === null ? -1 : ring.call.fd);
    } finally {
      old?.close();
    }
    return null;
  }

  #setErr(message: IncomingMessage): null {
    const ring = this.#ringOfFd(message);
    const fd = this.#eventFd(ring, message);
    ring.err?.close();
    ring.err = fd;
    return null;
  }

  #setEnable({ view }: IncomingMessage): null {
    const ring = this.#ring(VhostVringState.index.get(view, 0));
    const num = VhostVringState.num.get(view, 0);
    if (num > 1) {
      throw refusal('ERR_VU_RING', ring.index, `enable ${num}, wants 0 or 1`);
    }
    if (num === 0) {
      ring.enabled = false;
      this.#runner.stop(ring);
      return null;
    }
    ring.enabled = true;
    try {
      this.#runner.startWhenComplete(ring);
    } catch (error) {
      ring.enabled = false;
      throw error;
    }
    return null;
  }

  /** The ring with this number, all 32 bits of it. @throws VhostUserError ERR_VU_INDEX */
  #ring(index: number): Ring {
    const ring = this.#rings[index];
    if (ring === undefined) {
      throw refusal('ERR_VU_INDEX', index, `there are ${this.#rings.length} rings`);
    }
    return ring;
  }

  /** The ring of a descriptor message: 8 bits of number, bit 8 for "no descriptor", and nothing else. */
  #ringOfFd({ view }: IncomingMessage): Ring {
    const lo = VhostUserU64.value.lo(view, 0);
    const hi = VhostUserU64.value.hi(view, 0);
    if (hi !== 0 || (lo & ~(VHOST_USER_VRING_IDX_MASK | VHOST_USER_VRING_NOFD_MASK)) !== 0) {
      throw refusal(
        'ERR_VU_INDEX',
        lo,
        `value 0x${hi.toString(16)}:${lo.toString(16)} has bits beyond the ring number`,
      );
    }
    return this.#ring(lo & VHOST_USER_VRING_IDX_MASK);
  }

  /** The message's eventfd, or null; non-blocking from here on. @throws VhostUserError ERR_VU_DESCRIPTOR */
  #eventFd(ring: Ring, message: IncomingMessage): Fd | null {
    if (message.fds.count === 0) {
      return null;
    }
    const { sys } = this.#options;
    const fd = message.fds.take(0);
    if (!isEventfd(sys, fd.fd)) {
      fd.close();
      throw refusal('ERR_VU_DESCRIPTOR', ring.index, 'the descriptor is no eventfd');
    }
    sys.fd.setNonBlocking(fd.fd, true);
    return fd;
  }

  #refuseWhileRunning(ring: Ring, changes: boolean): void {
    if (ring.running && changes) {
      throw refusal('ERR_VU_STATE', ring.index, 'a running ring cannot be set up anew');
    }
  }
}

function refusal(code: VhostUserErrorCode, ring: number, detail: string): VhostUserError {
  return new VhostUserError(code, 'frontend', `ring ${ring}: ${detail}`, { ring });
}
