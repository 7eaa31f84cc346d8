/** The descriptors that outlive a back-end: what systemd's fd store is for a service. */
import type { Fd } from '@oriel/sys';
import type { NotifyMessage } from './notify-message.ts';

/** As `FileDescriptorStoreMax=` of a unit: what a back-end stores beyond is dropped. */
const MAX_HELD = 4096;
/** All names stand in one string of the environment, LISTEN_FDNAMES, which execve(2) bounds by 128 KiB with its name and end. */
const MAX_NAME_BYTES = 120 << 10;

/** Descriptors by name, in the order in which they came; several may have one name. */
export class HeldDescriptors implements Disposable {
  #held: { readonly name: string; readonly fd: Fd }[] = [];
  /** Of all names, with what stands between them. */
  #nameBytes = 0;

  /**
   * Does what a message says. @param fds - of the same datagram, given away
   * @returns how many were dropped; one that did not arrive is one of them
   */
  take({ store, remove }: NotifyMessage, fds: readonly Fd[]): number {
    if (remove !== null) {
      this.#remove(remove);
    }
    let dropped = store !== null && fds.length === 0 ? 1 : 0;
    for (const fd of fds) {
      if (store !== null && this.#held.length < MAX_HELD && this.#nameBytes + store.length < MAX_NAME_BYTES) {
        this.#held.push({ name: store, fd });
        this.#nameBytes += store.length + 1;
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

  #remove(name: string): void {
    const left = this.#held.filter((one) => one.name !== name);
    if (left.length === this.#held.length) {
      return;
    }
    for (const one of this.#held) {
      if (one.name === name) {
        one.fd.close();
        this.#nameBytes -= name.length + 1;
      }
    }
    this.#held = left;
  }
}
