/** The inodes that the window has to do with: mapped ones, and those of which it remembers something. */
import type { Filesystem, MapInfo } from '@oriel/fuse';
import type { RegionLimits } from '@oriel/shm-region';
import { EBADF, ENOENT, EOPNOTSUPP, Fd, type Sys } from '@oriel/sys';
import { DaxInode } from './inode.ts';
import type { DaxTail } from './options.ts';

export interface InodeTableOptions {
  readonly sys: Pick<Sys, 'fd'>;
  readonly fs: Filesystem;
  readonly tail: DaxTail;
  /** Smallest file that gets DAX in the guest's per-inode mode, bytes. */
  readonly minSize: number;
  /** Guards the file of an inode that has a descriptor. @returns 0 or a negative errno */
  readonly watch: (inode: DaxInode) => number;
}

export class InodeTable {
  readonly #options: InodeTableOptions;
  readonly #inodes = new Map<number, DaxInode>();
  readonly #info: MapInfo = { size: 0, mappable: false, devLo: 0, devHi: 0, inoLo: 0, inoHi: 0, path: '' };

  constructor(options: InodeTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#inodes.size;
  }

  get(nodeid: number): DaxInode | undefined {
    return this.#inodes.get(nodeid);
  }

  /** The inode, added if need be; a negative errno when the Filesystem does not know it, or it cannot be mapped. */
  know(nodeid: number): DaxInode | number {
    const known = this.#inodes.get(nodeid);
    if (known !== undefined) return known;
    // Nothing is kept for numbers that a driver invents.
    const error = this.#ask(nodeid);
    if (error < 0) return error;
    const inode = new DaxInode(nodeid);
    this.#inodes.set(nodeid, inode);
    return inode;
  }

  /** True for an inode with a descriptor. */
  isOpen(nodeid: number): boolean {
    return this.#inodes.get(nodeid)?.fd != null;
  }

  /** The inode, with a descriptor; or a negative errno. */
  opened(nodeid: number): DaxInode | number {
    const inode = this.know(nodeid);
    if (typeof inode === 'number' || inode.fd !== null) return inode;
    const { sys, fs } = this.#options;
    const error = this.#ask(nodeid);
    if (error < 0) return error;
    const fd = fs.openForMapping?.(nodeid) ?? -EOPNOTSUPP;
    if (fd < 0) return fd;
    inode.fd = new Fd(sys.fd, fd);
    inode.path = this.#info.path;
    if (this.#options.watch(inode) < 0) {
      inode.close();
      return -EOPNOTSUPP;
    }
    return inode;
  }

  /**
   * Marks an inode that gets DAX in the guest's per-inode mode: mapped already, or large enough, mappable to its last byte, and
   * openable for a mapping.
   * @returns whether it does
   */
  flag(nodeid: number, size: number, { pageSize, insideFile }: RegionLimits): boolean {
    let inode = this.#inodes.get(nodeid);
    if (inode === undefined || inode.ranges.size === 0) {
      const { tail, minSize, fs } = this.#options;
      const whole = !insideFile || tail !== 'refuse' || fs.mapsWholeRanges === true;
      if (size < minSize || (!whole && size % pageSize !== 0)) return false;
      const known = inode ?? this.know(nodeid);
      if (typeof known === 'number' || !this.#mayBeOpened(known)) return false;
      inode = known;
    }
    inode.flagged = true;
    return true;
  }

  /** Where the file lies now, relative to the share; '' for one without a name. */
  path(nodeid: number): string {
    return this.#ask(nodeid) < 0 ? '' : this.#info.path;
  }

  /** A FORGET came. @returns the inode when it was the last one, and the table has let go of it */
  forgotten(nodeid: number): DaxInode | null {
    const inode = this.#inodes.get(nodeid);
    if (inode === undefined) return null;
    const error = this.#options.fs.mapInfo?.(nodeid, this.#info) ?? -EBADF;
    // Any other error is about the file: the guest may still have it mapped.
    if (error !== -EBADF && error !== -ENOENT) return null;
    this.#inodes.delete(nodeid);
    inode.gone = true;
    return inode;
  }

  /** The session ended. */
  clear(): void {
    for (const inode of this.#inodes.values()) {
      inode.gone = true;
      inode.releaseIdle();
    }
    this.#inodes.clear();
  }

  /** Whether a descriptor for a mapping can be had; tried once an inode, as Linux asks at every lookup. */
  #mayBeOpened(inode: DaxInode): boolean {
    if (inode.openable === null) {
      inode.openable = typeof this.opened(inode.nodeid) !== 'number';
      inode.releaseIdle();
    }
    return inode.openable;
  }

  /** Asks the Filesystem for the facts of an inode. @returns 0 or a negative errno */
  #ask(nodeid: number): number {
    const error = this.#options.fs.mapInfo?.(nodeid, this.#info) ?? -EOPNOTSUPP;
    return error < 0 || this.#info.mappable ? error : -EOPNOTSUPP;
  }
}
