/** Sockets that one program of the guest received and another one shall have: ASSIGN_SOCKET_UUID, then INIT with that uuid. */
import type { Fd } from '@oriel/sys';
import type { HeldFd } from '../items/held-fd.ts';

/** Each needs one INIT. */
const MOST_PER_OWNER = 16;

interface Offer {
  readonly owner: object;
  readonly socket: HeldFd;
}

export class InternalSockets {
  readonly #offers = new Map<string, Offer>();

  /** @param socket - given away @returns false, with nothing taken, for a uuid in use and for too many of one owner */
  offer(uuid: string, socket: HeldFd, owner: object): boolean {
    let own = 0;
    for (const offer of this.#offers.values()) if (offer.owner === owner) own++;
    if (this.#offers.has(uuid) || own >= MOST_PER_OWNER) return false;
    this.#offers.set(uuid, { owner, socket });
    return true;
  }

  /** A second descriptor of the socket, once; null where there is none, or no descriptor for it */
  claim(uuid: string, dup: (fd: number) => Fd | null): Fd | null {
    const offer = this.#offers.get(uuid);
    if (offer === undefined) return null;
    const socket = dup(offer.socket.fd);
    if (socket === null) return null;
    this.#offers.delete(uuid);
    offer.socket[Symbol.dispose]();
    return socket;
  }

  /** What an owner offered and nobody claimed is closed. */
  forget(owner: object): void {
    for (const [uuid, offer] of this.#offers) {
      if (offer.owner !== owner) continue;
      this.#offers.delete(uuid);
      offer.socket[Symbol.dispose]();
    }
  }
}
