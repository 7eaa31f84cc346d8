/** How known inodes are found, by what the host says of a file, and reached: by a descriptor that is lent. */
import { type Address, AT_EMPTY_PATH, ESTALE } from '@oriel/sys';
import { FdNames } from './fd-names.ts';
import type { FileHandles } from './file-handles.ts';
import type { FileStatus } from './file-status.ts';
import { InodeDescriptors, type InodeSupport } from './inode-descriptors.ts';
import { InodeRows, UNKNOWN } from './inode-rows.ts';
import type { RemoteRun } from './remote/remote-run.ts';
import type { RemoteRuns } from './remote/remote-runs.ts';

/** How many there may be. */
export interface InodeLimits {
  /** Most inodes known at one time, the root included. */
  readonly maxInodes: number;
  /** Most descriptors held for them, those of mounts included; one request may need a few more while it lasts. */
  readonly maxDescriptors: number;
}

/** The inode table, but for what adds inodes and takes them away. */
export class InodeAccess extends InodeRows {
  /** Texts of descriptors. */
  readonly names: FdNames;
  protected readonly fds: InodeDescriptors;
  readonly #runs: RemoteRuns;
  readonly #empty: Address;

  constructor(support: InodeSupport, { maxInodes, maxDescriptors }: InodeLimits) {
    super(support.devices, maxInodes);
    this.names = new FdNames(support.calls.mem);
    this.fds = new InodeDescriptors(support, this, maxDescriptors);
    this.#runs = support.runs;
    this.#empty = support.scratch.empty;
  }

  /** Descriptors of inodes and mounts. */
  get descriptors(): number {
    return this.fds.count;
  }

  /** True when another inode would need a descriptor more than there may be. */
  get outOfDescriptors(): boolean {
    return this.fds.exhausted;
  }

  /** File handles, for one who tells them to another host. */
  get fileHandles(): FileHandles {
    return this.fds.handles;
  }

  /** Ends what was lent before. @returns the slot of a nodeid, or -1 */
  slotOf(nodeid: number): number {
    this.fds.makeRoom(0);
    return this.ids.slotOf(nodeid);
  }

  /**
   * The O_PATH descriptor, lent until the request ends. Root's rights are needed where it must be opened again.
   * @returns a negative errno when that fails, ESTALE when the file is gone
   */
  fd(slot: number): number {
    const { active } = this.#runs;
    return active === null ? this.fds.fd(slot) : this.#copyOf(slot, active);
  }

  /** "N" relative to /proc/self/fd: opening it opens the inode itself. @returns an address, or as `fd` */
  number(slot: number): Address {
    const fd = this.fd(slot);
    return fd < 0 ? fd : this.names.number(fd);
  }

  /** "/proc/self/fd/N". @returns an address, or as `fd` */
  path(slot: number): Address {
    const fd = this.fd(slot);
    return fd < 0 ? fd : this.names.path(fd);
  }

  /**
   * Finds the inode of an entry.
   * @param status - what statx said of it
   * @param flags - 0, or AT_EMPTY_PATH for `dirfd` itself
   * @returns its slot, UNKNOWN, or a negative errno when that could not be told
   */
  find(status: FileStatus, dirfd: number, name: Address, flags: number): number {
    const device = this.devices.find(status.devMajor, status.devMinor, status.mount);
    if (device === undefined) {
      return UNKNOWN;
    }
    const slot = this.index.slotOf(device.number, status.inoLo, status.inoHi);
    // Another kind of file under a known number: a file system that reuses numbers of inodes in use.
    if (slot < 0 || this.type(slot) !== status.type) {
      return UNKNOWN;
    }
    return this.fds.has(slot) ? slot : this.#confirm(slot, dirfd, name, flags);
  }

  /** Finds the inode of a descriptor. @returns as `find` */
  findFd(status: FileStatus, fd: number): number {
    return this.find(status, fd, this.#empty, AT_EMPTY_PATH);
  }

  #copyOf(slot: number, run: RemoteRun): number {
    return run.copyOf(slot, () => this.#runs.here(() => this.fds.fd(slot)));
  }

  /** Tells whether a number still means the inode without a descriptor that had it. @returns as `find` */
  #confirm(slot: number, dirfd: number, name: Address, flags: number): number {
    const failed = this.fds.confirm(slot, dirfd, name, flags);
    if (failed === -ESTALE) {
      this.index.delete(slot);
      return UNKNOWN;
    }
    return failed < 0 ? failed : slot;
  }
}
