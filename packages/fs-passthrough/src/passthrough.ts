/** A host directory as a `Filesystem`: its sessions from INIT to DESTROY, and what lasts longer. */
import {
  type Filesystem,
  type FilesystemJournal,
  type FilesystemMigration,
  FUSE_HANDLE_KILLPRIV_V2,
  FUSE_POSIX_ACL,
  FUSE_WRITEBACK_CACHE,
  type MapInfo,
  type Operation,
  type SessionFeatures,
} from '@oriel/fuse';
import type { HelperThreads } from '@oriel/sys';
import { MappingRequests } from './mapping-requests.ts';
import { ShareMigration } from './migration/share-migration.ts';
import type { PassthroughOptions } from './options.ts';
import { RoutedRequests } from './routed-requests.ts';
import { Share } from './share.ts';
import { ShareRequests } from './share-requests.ts';
import { ShareSurvival } from './survival/share-survival.ts';

/** What a share holds at the moment. */
export interface PassthroughStats {
  /** Inodes that the guest knows, the root included. */
  readonly inodes: number;
  /** Descriptors held for these and for mounts. */
  readonly inodeDescriptors: number;
  /** Open files and directories. */
  readonly handles: number;
  /** Mounts that these lie on. */
  readonly devices: number;
  /** Requests that wait for helper threads. */
  readonly pending: number;
}

/**
 * Serves a directory of the host. The guest reaches nothing outside of it: every step goes from the descriptor of a known
 * inode to one name in it, and no symbolic link is ever followed on this side.
 *
 * As root it gives each new file to the caller. Files and attributes are changed with this process's rights, since the
 * driver has checked the caller's.
 */
export class PassthroughFilesystem extends RoutedRequests implements Filesystem, Disposable {
  readonly #share: Share;
  readonly #survival: ShareSurvival;
  readonly #mappings: MappingRequests;
  readonly #remoteThreads: HelperThreads | undefined;
  /** How sessions move to another host; not where the host holds locks for the guest, which cannot be moved. */
  readonly migration?: FilesystemMigration;
  /** What is to be agreed with a driver. */
  readonly features: SessionFeatures;
  #disposed = false;

  /**
   * Opens the directory. The process's umask should be 0: the driver has applied the caller's.
   * @throws PassthroughError ERR_PASSTHROUGH_OPTION, ERR_PASSTHROUGH_SHARE, ERR_PASSTHROUGH_PROC,
   *   ERR_PASSTHROUGH_HANDLES
   * @throws SysError ENOMEM
   */
  constructor(options: PassthroughOptions) {
    const share = new Share(options);
    const { posixLocks = false, flockLocks = false } = options;
    const locks = posixLocks || flockLocks ? { posix: posixLocks, flock: flockLocks } : null;
    super(share, new ShareRequests(options.sys.mem, share, options.timer), locks);
    this.features = share.settings.features;
    this.#share = share;
    this.#survival = new ShareSurvival(share);
    this.#mappings = new MappingRequests(share);
    this.#remoteThreads = options.remoteOffload;
    if (locks === null) {
      this.migration = new ShareMigration(share, options.migration ?? {});
    }
    this.inDaxUse = (nodeid) => this.#mappings.wasMapped(nodeid);
  }

  /**
   * Tells whether an inode is in DAX use, for the option `daxKeepCache`. At first: whether `openForMapping` was called for
   * it since the guest came to know it. A device that knows better puts its own test here.
   */
  get inDaxUse(): (nodeid: number) => boolean {
    return this.here.opener.inDaxUse;
  }

  set inDaxUse(test: (nodeid: number) => boolean) {
    this.here.opener.inDaxUse = test;
  }

  get stats(): PassthroughStats {
    const { inodes, handles, devices, calls, runs } = this.#share;
    return {
      inodes: inodes.size,
      inodeDescriptors: inodes.descriptors,
      handles: handles.size,
      devices: devices.count,
      pending: calls.pending + runs.pending,
    };
  }

  init(): number {
    this.destroy();
    return 0;
  }

  initialised(flagsLo: number): void {
    this.#share.accessLists = (flagsLo & FUSE_POSIX_ACL) !== 0;
    this.#share.writeback = (flagsLo & FUSE_WRITEBACK_CACHE) !== 0;
    this.#share.clearsSetId = (flagsLo & FUSE_HANDLE_KILLPRIV_V2) !== 0;
  }

  /** Drops every handle, and every inode but the root; calls still under way end by themselves. */
  destroy(): void {
    this.here.locks.clear();
    this.#share.clear();
    this.here.directories.clear();
    this.#mappings.clear();
  }

  forget(nodeid: number, count: number, op: Operation | null): void {
    const { inodes } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot >= 0) {
      const intent = op?.intent ?? null;
      if (intent !== null) {
        // The count of an inode that a FORGET took before tells whether it was taken away.
        const taken = intent.again && intent.nodeid === nodeid && inodes.count(slot) !== intent.countBefore;
        if (taken) return;
        intent.counts(nodeid, inodes.count(slot));
      }
      inodes.forget(slot, count);
      if (inodes.slotOf(nodeid) < 0) {
        this.#mappings.forget(nodeid);
        this.here.locks.forget(nodeid);
      }
    }
  }

  cancel(op: Operation): boolean {
    return this.here.locks.cancel(op) || this.#share.runs.cancelRequest(op);
  }

  prepareMapping(nodeid: number, done: () => void): number {
    return this.#mappings.prepare(nodeid, done);
  }

  mapInfo(nodeid: number, out: MapInfo): number {
    return this.#mappings.info(nodeid, out);
  }

  openForMapping(nodeid: number): number {
    return this.#mappings.open(nodeid);
  }

  settle(ms: number): void {
    this.#remoteThreads?.drainFor(ms);
  }

  /** Bytes of a journal of this share. */
  get journalBytes(): number {
    return this.#survival.bytes;
  }

  /** Keeps inodes and handles in a journal, for another process. @returns 0 or a negative errno: see `ShareSurvival.open` */
  openJournal(journal: FilesystemJournal): number {
    this.destroy();
    return this.#survival.open(journal);
  }

  restore(): number {
    return this.#survival.restore();
  }

  closeJournal(): void {
    this.here.locks.clear();
    this.here.directories.clear();
    this.#mappings.clear();
    this.#survival.close();
  }

  /** Closes everything; waits for calls under way, but not for those on mounts that may not answer. */
  close(): void {
    if (!this.#disposed) {
      this.#disposed = true;
      this.destroy();
      this.#share[Symbol.dispose]();
      this.here[Symbol.dispose]();
    }
  }

  /** Same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
