/** The owner of a descriptor. */
import { EBADF } from './constants/errno.ts';
import type { SysFd } from './sys.ts';
import { check, SysError } from './sys-error.ts';

const EMPTY = -1;

/** A descriptor with an owner. A parameter of type `Fd` is given away; a `number` is lent for the call. */
export class Fd implements Disposable {
  readonly #sys: Pick<SysFd, 'close' | 'dup'>;
  #fd: number;

  /**
   * Takes over a descriptor.
   * @throws RangeError when `fd` is no descriptor number (a negative errno must be checked before)
   */
  constructor(sys: Pick<SysFd, 'close' | 'dup'>, fd: number) {
    if (!Number.isInteger(fd) || fd < 0) {
      throw new RangeError(`not a descriptor: ${fd}`);
    }
    this.#sys = sys;
    this.#fd = fd;
  }

  /** The number. @throws RangeError once closed or taken */
  get fd(): number {
    if (this.#fd === EMPTY) {
      throw new RangeError('the descriptor was closed or given away');
    }
    return this.#fd;
  }

  /** True once closed or taken. */
  get closed(): boolean {
    return this.#fd === EMPTY;
  }

  /** A second descriptor for the same open file, with an owner of its own. @throws SysError EMFILE */
  dup(): Fd {
    return new Fd(this.#sys, check(this.#sys.dup(this.fd), 'dup'));
  }

  /** Gives the number away; this object is then empty. @throws RangeError once closed or taken */
  take(): number {
    const fd = this.fd;
    this.#fd = EMPTY;
    return fd;
  }

  /** Closes; harmless when closed or taken. @throws SysError EBADF when somebody else closed it: an ownership bug */
  close(): void {
    if (this.#fd === EMPTY) {
      return;
    }
    const fd = this.#fd;
    this.#fd = EMPTY;
    // Linux frees the number whatever close() answers, so only a number that was not ours is worth a word.
    if (this.#sys.close(fd) === -EBADF) {
      throw new SysError(EBADF, 'close');
    }
  }

  /** Same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
