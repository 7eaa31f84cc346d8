/**
 * Tells whether a request that a process took before it ended has had its effect. What it counted and opened stands in the
 * journal; what it changed on the host is known by what its names were about before.
 *
 * What stays open: a name that another process of the host gave or took away between the note and the end of ours looks like
 * our own effect (see docs/design/survival.md).
 */
import type { Intent, Operation } from '@oriel/fuse';
import { type Address, ENOENT, S_IFDIR, S_IFMT, S_IFREG } from '@oriel/sys';
import { FILE } from '../handles.ts';
import { UNKNOWN } from '../inode-rows.ts';
import type { Share } from '../share.ts';

/** Which name of a request. */
type Which = 0 | 1;

/** Notes and recognises effects. */
export class OwnEffects {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  /** Takes back the lookup and the handle of a request that is to be done anew. @param kind - of the handle */
  takeBack(intent: Intent | null, kind: number = FILE): void {
    if (intent === null || !intent.again) {
      return;
    }
    const { handles, inodes } = this.#share;
    const { nodeid, fh } = intent;
    const slot = nodeid === 0 ? -1 : inodes.slotOf(nodeid);
    if (slot >= 0) {
      const count = inodes.count(slot);
      if (intent.done) {
        intent.counts(nodeid, count - 1);
      }
      if (count !== intent.countBefore) {
        inodes.forget(slot, 1);
      }
    }
    const handle = fh === 0 ? -1 : handles.slotOf(fh, kind);
    if (handle >= 0) {
      handles.release(handle);
    }
  }

  /** The inode that a finished request made or named, whose lookup stays counted; -1: it is not known any more. */
  finished(intent: Intent | null): number {
    return intent?.again && intent.done ? this.#share.inodes.slotOf(intent.nodeid) : -1;
  }

  /**
   * Notes what a name is about, before it is changed.
   * @returns the slot of its inode, if that is known, else UNKNOWN. The share's status is its then
   */
  note(intent: Intent, which: Which, dirfd: number, name: Address): number {
    const { inodes, status } = this.#share;
    const failed = status.ofEntry(dirfd, name);
    intent.note(which, failed < 0 ? null : status);
    const slot = failed < 0 ? UNKNOWN : inodes.find(status, dirfd, name, 0);
    return Math.max(slot, UNKNOWN);
  }

  /** As `note`, of a name that goes: an inode that loses its last name is kept for a later process. */
  noteGoing(intent: Intent, which: Which, dirfd: number, name: Address): void {
    const { inodes, rareLog, status } = this.#share;
    const slot = this.note(intent, which, dirfd, name);
    const last = slot !== UNKNOWN && (status.nlink === 1 || status.type === S_IFDIR);
    if (last && !inodes.keep(slot)) {
      rareLog.warn('a file without a name will be lost when this process ends: its descriptor is not kept', slot);
    }
  }

  /** An inode without a name was made. */
  keepNameless(slot: number): void {
    const { inodes, rareLog } = this.#share;
    if (!inodes.keep(slot)) {
      rareLog.warn('a file without a name will be lost when this process ends: its descriptor is not kept', slot);
    }
  }

  /** True when the entry that was to be made was made: it was not there, and is there as wanted. */
  isMade(op: Operation, dirfd: number, name: Address, mode: number): boolean {
    const { intent } = op;
    if (intent === null || !intent.again || !intent.noted(0) || intent.hadFile(0)) {
      return false;
    }
    const { status } = this.#share;
    if (status.ofEntry(dirfd, name) < 0 || status.type !== (mode & S_IFMT || S_IFREG)) {
      return false;
    }
    // A name of somebody else's has another owner, or something in it.
    return (
      status.uid === this.#share.credentials.owner(this.#share.hostUid(op.uid)) &&
      (status.type !== S_IFREG || status.size === 0)
    );
  }

  /** True when the name of a link was not there and is now this very inode's. */
  isLinked(intent: Intent | null, dirfd: number, name: Address, slot: number): boolean {
    if (intent === null || !intent.again || !intent.noted(0) || intent.hadFile(0)) {
      return false;
    }
    const { inodes, status } = this.#share;
    return status.ofEntry(dirfd, name) === 0 && inodes.find(status, dirfd, name, 0) === slot;
  }

  /** True when the name was about a file and is not about that one any more. */
  isGone(intent: Intent | null, dirfd: number, name: Address): boolean {
    if (intent === null || !intent.again || !intent.hadFile(0)) {
      return false;
    }
    const { status } = this.#share;
    const failed = status.ofEntry(dirfd, name);
    return failed === -ENOENT || (failed === 0 && !intent.isFile(0, status));
  }

  /** True when the new name is about the file that had the old one, and was not before: between two links nothing moves. */
  isRenamed(intent: Intent | null, dirfd: number, newName: Address): boolean {
    if (intent === null || !intent.again || !intent.noted(1) || !intent.hadFile(0)) {
      return false;
    }
    const { status } = this.#share;
    return status.ofEntry(dirfd, newName) === 0 && intent.isFile(0, status) && !intent.isFile(1, status);
  }
}
