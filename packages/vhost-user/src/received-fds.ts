/** Descriptors that came with a message: owned from recvmsg on, whatever becomes of the message. */
import { Fd, type SysFd } from '@oriel/sys';

/** The descriptors of the message being read. A handler takes those it wants; the channel closes the rest. */
export class ReceivedFds {
  readonly #sys: Pick<SysFd, 'close' | 'dup'>;
  #fds: Fd[] = [];

  constructor(sys: Pick<SysFd, 'close' | 'dup'>) {
    this.#sys = sys;
  }

  /** How many came, taken or not. */
  get count(): number {
    return this.#fds.length;
  }

  /** Owns one more. */
  push(fd: number): void {
    this.#fds.push(new Fd(this.#sys, fd));
  }

  /** Gives descriptor `index` away. @throws RangeError when there is none, or it was taken */
  take(index: number): Fd {
    const fd = this.#fds[index];
    if (fd === undefined) {
      throw new RangeError(`message has ${this.#fds.length} descriptors, not ${index + 1}`);
    }
    return new Fd(this.#sys, fd.take());
  }

  /** Gives all away. */
  takeAll(): Fd[] {
    const fds = this.#fds;
    this.#fds = [];
    return fds;
  }

  /** Closes what was not taken. */
  closeAll(): void {
    for (const fd of this.#fds) {
      fd.close();
    }
    this.#fds = [];
  }
}
