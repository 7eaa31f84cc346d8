/** Tells a share's state to another host: what the guest knows by number, a record each. */
import { MAX_STATE_RECORD, type StateRecords } from '@oriel/fuse';
import { ENOENT, errnoName } from '@oriel/sys';
import { HANDLE_WORDS } from '../file-handles.ts';
import { ROOT } from '../inode-rows.ts';
import type { Share } from '../share.ts';
import {
  BY_HANDLE,
  HANDLE_RECORD,
  HAS_HANDLE,
  HandleRecord,
  INODE_RECORD,
  InodeRecord,
  TABLES_RECORD,
  TablesRecord,
} from './layout.ts';
import type { MigrationOptions } from './options.ts';
import { InodePaths } from './paths.ts';

/** One pass over the tables, which must not change meanwhile. */
export class ShareRecords implements StateRecords {
  readonly #share: Share;
  readonly #options: Required<MigrationOptions>;
  readonly #paths: InodePaths;
  readonly #handle = new Uint32Array(HANDLE_WORDS);
  /** A path out of the scratch memory, which its walk needs. */
  readonly #path = new Uint8Array(MAX_STATE_RECORD);
  /** Inodes that the guest has open. */
  readonly #opened = new Set<number>();
  #begun = false;
  #inode = ROOT + 1;
  #open = 1;

  constructor(share: Share, options: Required<MigrationOptions>) {
    this.#share = share;
    this.#options = options;
    this.#paths = new InodePaths(share);
    const { handles } = share;
    for (let slot = 1; slot < handles.end; slot++) {
      if (handles.isOpen(slot)) this.#opened.add(handles.nodeid(slot));
    }
  }

  next(into: Uint8Array): number {
    const view = new DataView(into.buffer, into.byteOffset, into.length);
    const { inodes, handles } = this.#share;
    if (!this.#begun) {
      this.#begun = true;
      return this.#putTables(view);
    }
    while (this.#inode < inodes.end) {
      const slot = this.#inode++;
      const len = inodes.isUsed(slot) && inodes.count(slot) > 0 ? this.#putInode(slot, into, view) : 0;
      if (len > 0) return len;
    }
    while (this.#open < handles.end) {
      const slot = this.#open++;
      if (handles.isOpen(slot)) return this.#putHandle(slot, view);
    }
    return 0;
  }

  [Symbol.dispose](): void {
    this.#inode = Number.POSITIVE_INFINITY;
    this.#open = Number.POSITIVE_INFINITY;
  }

  #putTables(view: DataView): number {
    const { inodes, handles } = this.#share;
    TablesRecord.kind.set(view, 0, TABLES_RECORD);
    TablesRecord.reserved.set(view, 0, 0);
    TablesRecord.inodeEnd.set(view, 0, inodes.end);
    TablesRecord.inodeUses.set(view, 0, inodes.nextUses);
    TablesRecord.handleEnd.set(view, 0, handles.end);
    TablesRecord.handleUses.set(view, 0, handles.nextUses);
    return TablesRecord.byteLength;
  }

  /** @returns 0 for one that is not told */
  #putInode(slot: number, into: Uint8Array, view: DataView): number {
    const { inodes, rareLog } = this.#share;
    const { mode, verifyHandles } = this.#options;
    // Also gives up what descriptors are too many.
    const fd = inodes.slotOf(inodes.nodeid(slot)) < 0 ? -1 : inodes.fd(slot);
    const byHandle = mode === 'file-handles' && inodes.device(slot) === inodes.device(ROOT);
    const told = fd >= 0 && (byHandle || verifyHandles) && inodes.fileHandles.tell(fd, this.#handle) === 0;
    const pathLen = fd < 0 ? fd : this.#pathOf(slot, fd);
    if (pathLen < 0 && !(told && byHandle)) {
      if (this.#isRemoved(slot, fd)) return 0;
      rareLog.warn(`an inode has no path (${errnoName(-pathLen)}): the other side will not find it`, {
        toString: () => `nodeid ${inodes.nodeid(slot)}`,
      });
    }
    const len = Math.max(0, pathLen);
    InodeRecord.kind.set(view, 0, INODE_RECORD);
    InodeRecord.flags.set(view, 0, (told ? HAS_HANDLE : 0) | (told && byHandle ? BY_HANDLE : 0));
    InodeRecord.nodeid.set(view, 0, inodes.nodeid(slot));
    InodeRecord.lookups.set(view, 0, inodes.count(slot));
    InodeRecord.type.set(view, 0, inodes.type(slot));
    InodeRecord.pathLen.set(view, 0, len);
    const handle = new Uint8Array(this.#handle.buffer);
    into.set(handle, InodeRecord.handle.offset);
    if (!told) into.fill(0, InodeRecord.handle.offset, InodeRecord.handle.offset + handle.length);
    into.set(this.#path.subarray(0, len), InodeRecord.byteLength);
    return InodeRecord.byteLength + len;
  }

  /** Nobody misses it: without a name and an open file, the guest is about to forget it. */
  #isRemoved(slot: number, fd: number): boolean {
    const { inodes, status } = this.#share;
    return fd >= 0 && status.ofFd(fd) === 0 && status.nlink === 0 && !this.#opened.has(inodes.nodeid(slot));
  }

  #putHandle(slot: number, view: DataView): number {
    const { handles } = this.#share;
    HandleRecord.kind.set(view, 0, HANDLE_RECORD);
    HandleRecord.flags.set(view, 0, handles.flags(slot));
    HandleRecord.fh.set(view, 0, handles.fh(slot));
    HandleRecord.nodeid.set(view, 0, handles.nodeid(slot));
    return HandleRecord.byteLength;
  }

  /** Copies a path that leads to the inode, right now. @returns its length or a negative errno */
  #pathOf(slot: number, fd: number): number {
    const { scratch, status, fd: fds } = this.#share;
    const len = this.#paths.of(slot);
    if (len < 0) {
      return len;
    }
    const path = this.#path.subarray(0, len);
    path.set(scratch.bytes.subarray(this.#paths.at, this.#paths.at + len));
    const found = this.#paths.open(path);
    if (found < 0) {
      return found;
    }
    const failed = status.ofFd(found);
    fds.close(found);
    if (failed < 0) {
      return failed;
    }
    const { inoLo, inoHi, devMajor, devMinor, mount, type } = status;
    const same = status.ofFd(fd) === 0 && status.isFile(inoLo, inoHi, devMajor, devMinor, mount, type);
    return same ? len : -ENOENT;
  }
}
