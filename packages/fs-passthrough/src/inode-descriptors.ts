/**
 * The O_PATH descriptors of inodes, by slot. Where file handles can be used they are a cache: at the limit, those not used
 * lately are closed once their handle is kept. What a request was lent it keeps until it ends, since descriptors are given
 * up only when a request begins, or for an inode that is about to be added.
 */
import type { SysFd, SysFile, SysMem } from '@oriel/sys';
import { DescriptorClock } from './descriptor-clock.ts';
import { FdNames } from './fd-names.ts';
import { FileHandles } from './file-handles.ts';
import { FileStatus } from './file-status.ts';
import type { ShareFd } from './remote/remote-fd.ts';
import type { Scratch } from './scratch.ts';
import { grownInt32 } from './slot-ids.ts';

/** In place of a descriptor: the inode has none now. */
export const GIVEN_UP = -1;

/** Descriptors by slot; it owns them. */
export class InodeDescriptors implements Disposable {
  readonly handles: FileHandles;
  /** Texts of descriptors. */
  readonly names: FdNames;
  /** Apart from the share's own status, which a request may still need. */
  readonly status: FileStatus;
  /** How many there are. */
  open = 0;
  readonly #sys: SysFd;
  readonly #clock = new DescriptorClock();
  #fds = new Int32Array(0);

  /** As `Inodes` has them. */
  constructor(sysFd: SysFd, calls: { mem: SysMem; fd: ShareFd; file: SysFile }, scratch: Scratch) {
    this.#sys = sysFd;
    this.handles = new FileHandles(calls, scratch);
    this.names = new FdNames(calls.mem);
    this.status = new FileStatus(calls.file, scratch.empty, scratch.innerStatx);
  }

  /** True when some may be given up. */
  get canGiveUp(): boolean {
    return !this.#clock.empty;
  }

  /** The descriptor, lent until the request ends, or GIVEN_UP. */
  fd(slot: number): number {
    const fd = this.#fds[slot]!;
    if (fd !== GIVEN_UP) {
      this.#clock.touch(fd);
    }
    return fd;
  }

  has(slot: number): boolean {
    return this.#fds[slot] !== GIVEN_UP;
  }

  /** Gives an inode a descriptor, which is given away. */
  set(slot: number, fd: number, canGiveUp: boolean): void {
    this.#fds[slot] = fd;
    this.open++;
    this.#clock.reserve(fd);
    if (canGiveUp) {
      this.#clock.add(fd, slot);
    }
  }

  /** Puts back a descriptor that stayed open while the table changed. */
  adopt(slot: number, fd: number): void {
    this.#fds[slot] = fd;
  }

  /** An inode of an earlier process: it has none yet. */
  setGivenUp(slot: number): void {
    this.#fds[slot] = GIVEN_UP;
  }

  /** A descriptor that had to stay may be given up (again). */
  release(slot: number): void {
    const fd = this.#fds[slot]!;
    if (fd !== GIVEN_UP) {
      this.#clock.add(fd, slot);
    }
  }

  /** Closes an inode's descriptor, if there is one. */
  close(slot: number): void {
    const fd = this.#fds[slot]!;
    if (fd !== GIVEN_UP) {
      this.#clock.remove(fd);
      this.#closeFd(slot, fd);
    }
  }

  /**
   * Gives up descriptors, until `max` are left or no more can go.
   * @throws SysError ENOMEM
   */
  shrink(max: number): void {
    while (this.open > max) {
      const fd = this.#clock.take();
      if (fd < 0) {
        return;
      }
      const slot = this.#clock.owner(fd);
      // A file without a name could end with its descriptor: that one stays, out of the clock.
      if (this.status.ofFd(fd) === 0 && this.status.nlink > 0 && this.handles.keep(slot, fd) === 0) {
        this.#closeFd(slot, fd);
      }
    }
  }

  /** Makes room for slots below `length`. */
  grow(length: number): void {
    if (length > this.#fds.length) {
      this.#fds = grownInt32(this.#fds, length);
    }
  }

  [Symbol.dispose](): void {
    this.names[Symbol.dispose]();
    this.handles[Symbol.dispose]();
  }

  #closeFd(slot: number, fd: number): void {
    this.#sys.close(fd);
    this.#fds[slot] = GIVEN_UP;
    this.open--;
  }
}
