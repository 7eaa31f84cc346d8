/** Set-up of rings (messages 8, 9, 10, 13 and 14): what neither starts nor stops them. */
import type { GuestMemory } from '@oriel/guest-memory';
import { VHOST_VRING_F_LOG, VhostVringAddr, VhostVringState } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { Negotiated } from '../protocol/check.ts';
import type { BackendHandler } from './handler.ts';
import type { RequestHandlers } from './requests.ts';
import type { Ring } from './ring.ts';
import { checkRingAddresses, checkRingBase, checkRingSize } from './ring-geometry.ts';
import { type RingList, ringRefusal } from './ring-list.ts';

/** What the set-up needs of the connection. */
export interface RingConfigOptions {
  readonly handler: BackendHandler;
  readonly memory: GuestMemory;
  readonly negotiated: Negotiated;
  /** SET_VRING_ADDR said whether a ring is logged; it may run. */
  readonly onLogged: (ring: Ring) => void;
}

/** Sets rings up as the front-end says. */
export class RingConfig {
  readonly handlers: RequestHandlers = {
    SET_VRING_NUM: (message) => this.#setNum(message),
    SET_VRING_ADDR: (message) => this.#setAddr(message),
    SET_VRING_BASE: (message) => this.#setBase(message),
    SET_VRING_CALL: (message) => this.#setCall(message),
    SET_VRING_ERR: (message) => this.#setErr(message),
  };
  readonly #options: RingConfigOptions;
  readonly #list: RingList;

  constructor(options: RingConfigOptions, list: RingList) {
    this.#options = options;
    this.#list = list;
  }

  #setNum({ view }: IncomingMessage): null {
    const ring = this.#list.ring(VhostVringState.index.get(view, 0));
    const size = VhostVringState.num.get(view, 0);
    this.#refuseWhileRunning(ring, size !== ring.size);
    checkRingSize(ring.index, size, this.#options.handler.maxQueueSize, this.#options.negotiated.features);
    ring.size = size;
    return null;
  }

  /** The same addresses may come again while the ring runs: front-ends do so to switch logging. */
  #setAddr({ view }: IncomingMessage): null {
    const ring = this.#list.ring(VhostVringAddr.index.get(view, 0));
    const flags = VhostVringAddr.flags.get(view, 0);
    if ((flags & ~VHOST_VRING_F_LOG) !== 0) {
      throw ringRefusal('ERR_VU_RING', ring.index, `address flags 0x${flags.toString(16)}`);
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
      throw ringRefusal('ERR_VU_STATE', ring.index, 'addresses before any memory');
    }
    checkRingAddresses(ring.index, ring.size, addresses, negotiated.features, memory);
    ring.addresses = addresses;
    // The queue logs where the ring really lies, so the log address of the message is not needed.
    ring.logged = (flags & VHOST_VRING_F_LOG) !== 0;
    this.#options.onLogged(ring);
    return null;
  }

  #setBase({ view }: IncomingMessage): null {
    const ring = this.#list.ring(VhostVringState.index.get(view, 0));
    const base = VhostVringState.num.get(view, 0);
    this.#refuseWhileRunning(ring, true);
    checkRingBase(ring.index, ring.size, base, this.#options.negotiated.features);
    ring.base = base;
    return null;
  }

  #setCall(message: IncomingMessage): null {
    const ring = this.#list.ringOfFd(message);
    const old = ring.call;
    ring.call = this.#list.eventFd(ring, message);
    try {
      this.#options.handler.setCall(ring.index, ring.call === null ? -1 : ring.call.fd);
    } finally {
      old?.close();
    }
    return null;
  }

  #setErr(message: IncomingMessage): null {
    const ring = this.#list.ringOfFd(message);
    const fd = this.#list.eventFd(ring, message);
    ring.err?.close();
    ring.err = fd;
    return null;
  }

  #refuseWhileRunning(ring: Ring, changes: boolean): void {
    if (ring.running && changes) {
      throw ringRefusal('ERR_VU_STATE', ring.index, 'a running ring cannot be set up anew');
    }
  }
}
