/** The rings of a device, found by what messages say. */
import type { Fd, Sys } from '@oriel/sys';
import { VhostUserError, type VhostUserErrorCode } from '../errors.ts';
import { VHOST_USER_VRING_IDX_MASK, VHOST_USER_VRING_NOFD_MASK, VhostUserU64 } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { isEventfd } from './event-fd.ts';
import { Ring } from './ring.ts';

/** All rings, by index. */
export class RingList {
  readonly rings: readonly Ring[];
  readonly #sys: Pick<Sys, 'fd' | 'file'>;

  constructor(sys: Pick<Sys, 'fd' | 'file'>, count: number) {
    this.#sys = sys;
    this.rings = Array.from({ length: count }, (_, index) => new Ring(index));
  }

  /** The ring with this number, all 32 bits of it. @throws VhostUserError ERR_VU_INDEX */
  ring(index: number): Ring {
    const ring = this.rings[index];
    if (ring === undefined) {
      throw ringRefusal('ERR_VU_INDEX', index, `there are ${this.rings.length} rings`);
    }
    return ring;
  }

  /** The ring of a descriptor message: 8 bits of number, bit 8 for "no descriptor", and nothing else. */
  ringOfFd({ view }: IncomingMessage): Ring {
    const lo = VhostUserU64.value.lo(view, 0);
    const hi = VhostUserU64.value.hi(view, 0);
    if (hi !== 0 || (lo & ~(VHOST_USER_VRING_IDX_MASK | VHOST_USER_VRING_NOFD_MASK)) !== 0) {
      throw ringRefusal(
        'ERR_VU_INDEX',
        lo,
        `value 0x${hi.toString(16)}:${lo.toString(16)} has bits beyond the ring number`,
      );
    }
    return this.ring(lo & VHOST_USER_VRING_IDX_MASK);
  }

  /** The message's eventfd, or null; non-blocking from here on. @throws VhostUserError ERR_VU_DESCRIPTOR */
  eventFd(ring: Ring, message: IncomingMessage): Fd | null {
    return this.checkedEventFd(ring, message.fds.count === 0 ? null : message.fds.take(0));
  }

  /** An eventfd, non-blocking from here on. @param fd - given away. @throws VhostUserError ERR_VU_DESCRIPTOR; it is closed then */
  checkedEventFd(ring: Ring, fd: Fd | null): Fd | null {
    if (fd === null) {
      return null;
    }
    if (!isEventfd(this.#sys, fd.fd)) {
      fd.close();
      throw ringRefusal('ERR_VU_DESCRIPTOR', ring.index, 'the descriptor is no eventfd');
    }
    this.#sys.fd.setNonBlocking(fd.fd, true);
    return fd;
  }
}

/** A front-end's mistake about a ring. */
export function ringRefusal(code: VhostUserErrorCode, ring: number, detail: string): VhostUserError {
  return new VhostUserError(code, 'frontend', `ring ${ring}: ${detail}`, { ring });
}
