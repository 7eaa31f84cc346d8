/** Takes the state of a share from another host, and finds its inodes here. */
import type { StateTaker } from '@oriel/fuse';
import { EINVAL, ENFILE, EOPNOTSUPP, ESTALE, errnoName, O_NONBLOCK, S_IFDIR } from '@oriel/sys';
import { HANDLE_WORDS } from '../file-handles.ts';
import { DIRECTORY, FILE } from '../handles.ts';
import { ROOT } from '../inode-rows.ts';
import { reopenFlags } from '../reopen-flags.ts';
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

/** Fills the tables of a share, of which nothing but the root is known. */
export class ShareTaker implements StateTaker {
  readonly #share: Share;
  readonly #options: Required<MigrationOptions>;
  readonly #paths: InodePaths;
  readonly #told = new Uint32Array(HANDLE_WORDS);
  readonly #found = new Uint32Array(HANDLE_WORDS);
  #prepared = false;
  #settled = false;
  #lostInodes = 0;
  #lostHandles = 0;

  constructor(share: Share, options: Required<MigrationOptions>) {
    this.#share = share;
    this.#options = options;
    this.#paths = new InodePaths(share);
  }

  take(record: Uint8Array): number {
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    const kind = record.length >= 4 ? view.getUint32(0, true) : 0;
    if (this.#prepared !== (kind !== TABLES_RECORD)) {
      return -EINVAL;
    }
    switch (kind) {
      case TABLES_RECORD:
        return record.length === TablesRecord.byteLength ? this.#prepare(view) : -EINVAL;
      case INODE_RECORD:
        return record.length >= InodeRecord.byteLength ? this.#inode(record, view) : -EINVAL;
      case HANDLE_RECORD:
        return record.length === HandleRecord.byteLength ? this.#handle(view) : -EINVAL;
      default:
        return -EINVAL;
    }
  }

  end(): number {
    if (!this.#prepared) {
      return -EINVAL;
    }
    this.#settle();
    const { settings, inodes, handles } = this.#share;
    const counts = { inodes: inodes.size, handles: handles.size };
    const lost = { lostInodes: this.#lostInodes, lostHandles: this.#lostHandles };
    settings.log.info('the session of another host goes on', { ...counts, ...lost });
    return 0;
  }

  [Symbol.dispose](): void {
    this.#settle();
  }

  #prepare(view: DataView): number {
    const { inodes, handles } = this.#share;
    this.#prepared =
      inodes.prepare(TablesRecord.inodeEnd.get(view, 0), TablesRecord.inodeUses.get(view, 0)) &&
      handles.prepare(TablesRecord.handleEnd.get(view, 0), TablesRecord.handleUses.get(view, 0));
    return this.#prepared ? 0 : -ENFILE;
  }

  #settle(): void {
    if (this.#prepared && !this.#settled) {
      this.#settled = true;
      this.#share.inodes.settle();
      this.#share.handles.settle();
    }
  }

  #inode(record: Uint8Array, view: DataView): number {
    const { inodes, status, fd: fds, settings } = this.#share;
    const pathLen = InodeRecord.pathLen.get(view, 0);
    const nodeid = InodeRecord.nodeid.get(view, 0);
    const lookups = InodeRecord.lookups.get(view, 0);
    if (record.length !== InodeRecord.byteLength + pathLen || !(Number.isSafeInteger(lookups) && lookups > 0)) {
      return -EINVAL;
    }
    const path = record.subarray(InodeRecord.byteLength);
    const fd = this.#find(record, view, path);
    if (fd < 0) {
      this.#lostInodes++;
      return this.#lost(fd, `nodeid ${nodeid}`, path);
    }
    const slot = status.ofFd(fd) < 0 ? -1 : inodes.insertAs(nodeid, fd, status, lookups);
    if (slot >= 0) {
      // Nothing but this descriptor leads to it: whoever keeps a journal keeps that, too.
      if (status.nlink === 0) inodes.keep(slot);
      return 0;
    }
    fds.close(fd);
    settings.log.error('the state of the share has a nodeid that cannot be, or too many', { nodeid });
    return inodes.full ? -ENFILE : -EINVAL;
  }

  /** @returns an O_PATH descriptor of the inode, or a negative errno */
  #find(record: Uint8Array, view: DataView, path: Uint8Array): number {
    const { inodes, settings } = this.#share;
    const flags = InodeRecord.flags.get(view, 0);
    const { offset, size } = InodeRecord.handle;
    new Uint8Array(this.#told.buffer).set(record.subarray(offset, offset + size));
    if (inodes.outOfDescriptors) {
      return -ENFILE;
    }
    const type = InodeRecord.type.get(view, 0);
    const byPath =
      path.length === 0 ? -ESTALE : this.#checked(this.#paths.open(path), type, (flags & HAS_HANDLE) !== 0);
    if (byPath >= 0 || (flags & BY_HANDLE) === 0) {
      return byPath;
    }
    const { mountFd } = inodes.device(ROOT);
    if (mountFd < 0 || settings.inodeFileHandles === 'never') {
      return -EOPNOTSUPP;
    }
    const fd = this.#checked(inodes.fileHandles.openTold(this.#told, 0, mountFd), type, true);
    if (fd >= 0 && !this.#paths.inside(fd)) {
      // A handle leads to any file of the file system: only what the kernel knows to be in the share counts.
      this.#share.fd.close(fd);
      return -ESTALE;
    }
    return fd;
  }

  /** @param fd - given away @returns it, when it is what was told */
  #checked(fd: number, type: number, withHandle: boolean): number {
    if (fd < 0) {
      return fd;
    }
    const { status, inodes, fd: fds } = this.#share;
    const same =
      status.ofFd(fd) === 0 &&
      status.type === type &&
      (!withHandle ||
        (inodes.fileHandles.tell(fd, this.#found) === 0 && this.#found.every((word, at) => word === this.#told[at])));
    if (!same) {
      fds.close(fd);
    }
    return same ? fd : -ESTALE;
  }

  #handle(view: DataView): number {
    const { inodes, handles, settings, fd: fds } = this.#share;
    const nodeid = HandleRecord.nodeid.get(view, 0);
    const fh = HandleRecord.fh.get(view, 0);
    const slot = inodes.slotOf(nodeid);
    const flags = slot < 0 ? -ESTALE : reopenFlags(this.#share, slot, HandleRecord.flags.get(view, 0));
    // A lease that somebody has on the file is not waited for.
    const fd = flags < 0 ? flags : this.#share.openInode(slot, flags | O_NONBLOCK);
    if (fd < 0) {
      this.#lostHandles++;
      return this.#lost(fd, `fh ${fh} of nodeid ${nodeid}`, null);
    }
    const kind = inodes.type(slot) === S_IFDIR ? DIRECTORY : FILE;
    if (handles.insertAs(fh, fd, kind, inodes.device(slot), nodeid, flags) >= 0) {
      return 0;
    }
    fds.close(fd);
    settings.log.error('the state of the share has a handle that cannot be, or too many', { fh });
    return handles.full(kind) ? -ENFILE : -EINVAL;
  }

  /** @returns what the record's end is: a negative errno where one lost is the end of all */
  #lost(error: number, what: string, path: Uint8Array | null): number {
    const { settings, rareLog } = this.#share;
    const where = path === null || path.length === 0 ? '' : ` at ${JSON.stringify(Buffer.from(path).toString())}`;
    if (this.#options.onError === 'abort') {
      settings.log.error(`${what}${where} is not here (${errnoName(-error)}): the VM cannot come`);
      return error;
    }
    rareLog.warn(`not here (${errnoName(-error)}): the guest's requests for it fail`, {
      toString: () => `${what}${where}`,
    });
    return 0;
  }
}
