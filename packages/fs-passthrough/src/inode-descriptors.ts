/**
 * The O_PATH descriptors of inodes, by slot. Where file handles can be used they are a cache: at the limit, those not used
 * lately are closed once their handle is kept. What a request was lent it keeps until it ends, since descriptors are given
 * up only when a request begins, or for an inode that is about to be added.
 */
import { type Address, ESTALE, type SysFd, type SysFile, type SysMem } from '@oriel/sys';
import { grown } from './columns.ts';
import { DescriptorClock } from './descriptor-clock.ts';
import type { Devices } from './devices.ts';
import { FileHandles } from './file-handles.ts';
import { FileStatus } from './file-status.ts';
import type { InodeRows } from './inode-rows.ts';
import type { ShareFd } from './remote/remote-fd.ts';
import type { RemoteRuns } from './remote/remote-runs.ts';
import type { Scratch } from './scratch.ts';

/** In place of a descriptor: the inode has none now. */
const GIVEN_UP = -1;

/** What an inode table reaches the host by. */
export interface InodeSupport {
  /** For descriptors of places, whose closing never waits. */
  readonly places: SysFd;
  /** All other calls. */
  readonly calls: { readonly mem: SysMem; readonly fd: ShareFd; readonly file: SysFile };
  /** Where those are made. */
  readonly runs: RemoteRuns;
  readonly scratch: Scratch;
  readonly devices: Devices;
}

/** Descriptors by slot; it owns them. */
export class InodeDescriptors implements Disposable {
  readonly handles: FileHandles;
  /** Apart from the share's own status, which a request may still need. */
  readonly status: FileStatus;
  readonly #places: SysFd;
  readonly #fd: ShareFd;
  readonly #runs: RemoteRuns;
  readonly #rows: InodeRows;
  readonly #devices: Devices;
  readonly #max: number;
  readonly #clock = new DescriptorClock();
  #fds = new Int32Array(0);
  /** How many there are. */
  #open = 0;

  /**
   * @param rows - what is known of the inodes
   * @param max - most descriptors, those of mounts included
   */
  constructor({ places, calls, runs, scratch, devices }: InodeSupport, rows: InodeRows, max: number) {
    this.#places = places;
    this.#fd = calls.fd;
    this.#runs = runs;
    this.#rows = rows;
    this.#devices = devices;
    this.#max = max;
    this.handles = new FileHandles(calls, scratch);
    this.status = new FileStatus(calls.file, scratch.empty, scratch.innerStatx);
  }

  /** Descriptors of inodes and mounts. */
  get count(): number {
    return this.#open + this.#devices.mountFds;
  }

  /** True when there are as many as there may be, and none can be given up. */
  get exhausted(): boolean {
    return this.count >= this.#max && this.#clock.empty;
  }

  /**
   * The descriptor, lent until the request ends, opened again at need.
   * @returns a negative errno when that fails, ESTALE when the file is gone
   */
  fd(slot: number): number {
    const fd = this.#fds[slot]!;
    if (fd === GIVEN_UP) {
      return this.#reopen(slot);
    }
    this.#clock.touch(fd);
    return fd;
  }

  has(slot: number): boolean {
    return this.#fds[slot] !== GIVEN_UP;
  }

  /** Gives an inode a descriptor, which is given away. */
  set(slot: number, fd: number, canGiveUp: boolean): void {
    this.#fds[slot] = fd;
    this.#open++;
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
   * Gives up descriptors, until there may be so many more or no more can go.
   * @throws SysError ENOMEM
   */
  makeRoom(more: number): void {
    if (this.count > this.#max - more) {
      this.#giveUp(this.#max - more);
    }
  }

  /** True when a descriptor is of the very inode that the row tells of. */
  isOf(slot: number, fd: number): boolean {
    return this.status.ofFd(fd) === 0 && this.#rows.isOf(slot, this.status);
  }

  /**
   * Tells whether an entry is the inode without a descriptor that had its number.
   * @param flags - 0, or AT_EMPTY_PATH for `dirfd` itself
   * @returns 0; -ESTALE: that inode is gone; or another negative errno when this could not be told
   */
  confirm(slot: number, dirfd: number, name: Address, flags: number): number {
    if (this.handles.matches(slot, dirfd, name, flags, this.#rows.device(slot).mount)) {
      return 0;
    }
    // The entry may have changed since; as long as the inode lives, its number means no other.
    const fd = this.#openByHandle(slot);
    if (fd < 0) {
      return fd;
    }
    this.#fd.close(fd);
    return 0;
  }

  /** Makes room for slots below `length`. */
  grow(length: number): void {
    if (length > this.#fds.length) {
      this.#fds = grown(this.#fds, length);
    }
  }

  [Symbol.dispose](): void {
    this.handles[Symbol.dispose]();
  }

  #giveUp(max: number): void {
    // What is given up is local; a run's code does not hear of it.
    this.#runs.here(() => this.#shrink(max));
  }

  #shrink(max: number): number {
    while (this.count > max) {
      const fd = this.#clock.take();
      if (fd < 0) {
        break;
      }
      const slot = this.#clock.owner(fd);
      // A file without a name could end with its descriptor: that one stays, out of the clock.
      if (this.status.ofFd(fd) === 0 && this.status.nlink > 0 && this.handles.keep(slot, fd) === 0) {
        this.#closeFd(slot, fd);
      }
    }
    return 0;
  }

  /** Opens an inode by its handle. @returns a descriptor or a negative errno */
  #openByHandle(slot: number): number {
    const fd = this.handles.open(slot, this.#rows.device(slot).mountFd);
    if (fd >= 0 && !this.isOf(slot, fd)) {
      this.#fd.close(fd);
      return -ESTALE;
    }
    return fd;
  }

  #reopen(slot: number): number {
    const fd = this.#openByHandle(slot);
    if (fd >= 0) {
      this.set(slot, fd, true);
    }
    return fd;
  }

  #closeFd(slot: number, fd: number): void {
    this.#places.close(fd);
    this.#fds[slot] = GIVEN_UP;
    this.#open--;
  }
}
