/** The descriptors that outlive a back-end: what systemd's fd store is for a service. */
import type { Fd } from '@oriel/sys';
import type { NotifyMessage } from './notify-message.ts';

/** As `FileDescriptorStoreMax=` of a unit: what a back-end stores beyond is dropped. */
const MAX_HELD = 4096;

/** Descriptors by name, in the order in which they came; several may have one name. */
export class HeldDescriptors implements Disposable {
  #held: { readonly name: string; readonly fd: Fd }[] = [];

  /** Does what a message says. @param fds - of the same datagram, given away @returns how many were dropped */
  take({ store, remove }: NotifyMessage, fds: readonly Fd[]): number {
    if (remove !== null) {
      for (const { fd } of this.#held.filter(({ name }) => name === remove)) {
        fd.close();
      }
      this.#held = this.#held.filter(({ name }) => name !== remove);
    }
    let dropped = 0;
    for (const fd of fds) {
      if (store !== null && this.#held.length < MAX_HELD) {
        this.#held.push({ name: store, fd });
      } else {
        fd.close();
        dropped++;
      }
    }
    return dropped;
  }

  /** Names and numbers, both in the order in which a child gets them; lent. */
  list(): { readonly names: readonly string[]; readonly fds: readonly number[] } {
    return { names: this.#held.map(({ name }) => name), fds: this.#held.map(({ fd }) => fd.fd) };
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#held) {
      fd.close();
    }
    this.#held = [];
  }
}
