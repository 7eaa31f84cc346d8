/** The life of a share's journal: opened before a session, read by the next process, left as it is at the end. */
import type { FilesystemJournal } from '@oriel/fuse';
import { EINVAL, EOPNOTSUPP, ESTALE } from '@oriel/sys';
import type { Device } from '../devices.ts';
import { ROOT } from '../inode-rows.ts';
import { reopenFlags } from '../reopen-flags.ts';
import type { Share } from '../share.ts';
import { journalSizes, mountName, ShareJournal, shareJournalBytes } from './share-journal.ts';

/** Opens, reads and closes the journal of a share. */
export class ShareSurvival {
  readonly #share: Share;
  #journal: ShareJournal | null = null;

  constructor(share: Share) {
    this.#share = share;
  }

  /** Bytes of the journal. */
  get bytes(): number {
    return shareJournalBytes(this.#sizes);
  }

  /**
   * Moves the tables into a journal: an empty one, or one that an earlier process wrote, whose rows are then in place for
   * `restore`. Only the root may be known.
   * @returns 0; -EOPNOTSUPP where inodes cannot be found again (no file handles); -EINVAL for another program's journal;
   *   -ESTALE for that of another directory
   */
  open(place: FilesystemJournal): number {
    const { handles, inodes, status } = this.#share;
    const device = inodes.device(ROOT);
    if (device.mountFd < 0) {
      return -EOPNOTSUPP;
    }
    const journal = new ShareJournal(place, this.#sizes);
    const failed = status.ofFd(inodes.fd(ROOT));
    if (failed < 0) {
      return failed;
    }
    if (!journal.written) {
      if (!journal.empty) {
        return -EINVAL;
      }
      journal.sign(status);
    } else if (!journal.isOf(status)) {
      return -ESTALE;
    }
    this.#journal = journal;
    handles.useJournal(journal);
    inodes.useJournal(journal);
    return 0;
  }

  /** Brings back inodes and handles of the journal. @returns 0 */
  restore(): number {
    const journal = this.#journal!;
    const { handles, inodes, settings } = this.#share;
    const devices: (Device | undefined)[] = [];
    for (let record = 1; record < journal.deviceEnd; record++) {
      const told = journal.device(record);
      const mountFd = told === null ? null : journal.store.take(mountName(record));
      if (told === null || mountFd === null) {
        continue;
      }
      const device = this.#share.devices.takeUp(record, told.major, told.minor, told.mount, mountFd.take());
      device.users++;
      devices[record] = device;
    }
    const lostInodes = inodes.restore(devices);
    const lostHandles = handles.restore(
      (nodeid, flags) => this.#reopen(nodeid, flags),
      (nodeid) => inodes.device(inodes.slotOf(nodeid)),
    );
    for (const device of devices) {
      if (device !== undefined) {
        this.#share.devices.release(device);
      }
    }
    const counts = { inodes: inodes.size, handles: handles.size, lostInodes, lostHandles };
    settings.log.info('the session of the process before goes on', counts);
    return 0;
  }

  /** Leaves the journal as it is; only the root is known then. */
  close(): void {
    if (this.#journal === null) {
      return;
    }
    this.#journal = null;
    const { handles, inodes } = this.#share;
    handles.letGo();
    handles.useJournal(null);
    inodes.useJournal(null);
  }

  get #sizes(): { readonly inodes: number; readonly handles: number } {
    const { maxInodes, maxHandles, maxDirStreams } = this.#share.settings.limits;
    return journalSizes(maxInodes, maxHandles, maxDirStreams);
  }

  /** Opens what a handle was open on, as a guest could have it opened now. */
  #reopen(nodeid: number, flags: number): number {
    const slot = this.#share.inodes.slotOf(nodeid);
    if (slot < 0) {
      return -ESTALE;
    }
    const again = reopenFlags(this.#share, slot, flags);
    return again < 0 ? again : this.#share.openInode(slot, again);
  }
}
