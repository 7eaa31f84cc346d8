/** The mounts of inodes that are about to become known: what each is, and whether file handles serve there. */
import { S_IFDIR, S_IFREG } from '@oriel/sys';
import { type Device, type Devices, isOfKernel } from './devices.ts';
import type { FdNames } from './fd-names.ts';
import type { FileStatus } from './file-status.ts';
import type { InodeDescriptors, InodeSupport } from './inode-descriptors.ts';
import type { RemoteRuns } from './remote/remote-runs.ts';

/** Whether and how file handles are tried. */
export interface HandleOptions {
  /** File handles may take the place of descriptors. */
  readonly useHandles: boolean;
  /** /proc/self/fd, lent for the table's life. */
  readonly procFd: number;
}

/** Mounts of new inodes. */
export class InodeMounts {
  readonly #devices: Devices;
  readonly #descriptors: InodeDescriptors;
  readonly #names: FdNames;
  readonly #runs: RemoteRuns;
  readonly #options: HandleOptions;
  /** What `learn` found out. */
  #learnt: { readonly magic: number; readonly mountFd: number | null } | null = null;

  constructor(
    { devices, runs }: Pick<InodeSupport, 'devices' | 'runs'>,
    descriptors: InodeDescriptors,
    names: FdNames,
    options: HandleOptions,
  ) {
    this.#devices = devices;
    this.#descriptors = descriptors;
    this.#names = names;
    this.#runs = runs;
    this.#options = options;
  }

  /**
   * Asks what there is to know of the mount of an inode that is about to be inserted, while its request may still wait. The insertion
   * must follow.
   */
  learn(fd: number, status: FileStatus): void {
    if (this.#devices.find(status.devMajor, status.devMinor, status.mount) === undefined) {
      this.#learnt = { magic: this.#devices.magicOf(fd), mountFd: this.#tryHandles(fd, status) };
    }
  }

  /** True for a file of the kernel's own file systems. @param status - what statx said of it */
  isOfKernel(fd: number, { devMajor, devMinor, mount }: FileStatus): boolean {
    // In a run always: another one may have made the mount known when this one is executed anew.
    const device = this.#runs.active === null ? this.#devices.find(devMajor, devMinor, mount) : undefined;
    return device === undefined ? isOfKernel(this.#devices.magicOf(fd)) : device.ofKernel;
  }

  /** The record of the mount of a new inode. */
  of(fd: number, status: FileStatus): Device {
    const { devMajor, devMinor, mount } = status;
    let device = this.#devices.find(devMajor, devMinor, mount);
    let mountFd: number | null = null;
    if (device === undefined) {
      if (this.#learnt === null) {
        this.learn(fd, status);
      }
      const learnt = this.#learnt!;
      device = this.#devices.add(devMajor, devMinor, mount, learnt.magic);
      mountFd = learnt.mountFd;
    } else if (device.mountFd < 0 && device.handleErrno === 0 && !device.remote) {
      mountFd = this.#tryHandles(fd, status);
    }
    this.#learnt = null;
    if (mountFd !== null) {
      this.#devices.setMountFd(device, mountFd);
    }
    return device;
  }

  /**
   * A mount's first file that can be opened decides whether file handles serve there.
   * @returns a descriptor of the mount or a negative errno; null: not to be told by this file
   */
  #tryHandles(fd: number, status: FileStatus): number | null {
    const { useHandles, procFd } = this.#options;
    if (!useHandles || (status.type !== S_IFDIR && status.type !== S_IFREG)) {
      return null;
    }
    const { handles, status: again } = this.#descriptors;
    return handles.tryMount(fd, procFd, this.#names.number(fd), status, again);
  }
}
