/** What the window knows of one inode. */
import type { Fd, FileTruncation, WatchedFile } from '@oriel/sys';
import type { DaxRange } from './range.ts';

export class DaxInode {
  readonly nodeid: number;
  /** An open file description of its own, held while ranges exist: QEMU moves the shared file offset. */
  fd: Fd | null = null;
  readonly ranges = new Set<DaxRange>();
  /** The guard of its file, as long as there is a descriptor. */
  watched: WatchedFile | null = null;
  /** Truncations by others that may be happening now. */
  readonly cuts = new Set<FileTruncation>();
  /**
   * Others took mapped bytes away: the guest may go on believing that the file is longer, so nothing is mapped behind its end.
   */
  cutByOthers = false;
  /** The largest size that the guest can have heard of, bytes: it reaches no further, whatever is mapped. */
  told = 0;
  /** Its size when the guard last looked, bytes. */
  lastSize = 0;
  /** Set-ups and requests under way that need the descriptor. */
  users = 0;
  /** The session forgot it: what is under way for it ends, and nothing more is mapped. */
  gone = false;
  /** The driver was told that this inode uses DAX. */
  flagged = false;
  /** Whether a descriptor for a mapping can be had; null: not tried yet. */
  openable: boolean | null = null;
  /** The guest changed this file's size or content through this session. */
  guestSized = false;
  /** Its path when it was opened, for logs and pictures. */
  path = '';

  constructor(nodeid: number) {
    this.nodeid = nodeid;
  }

  /** Bytes of a file of `size` that are there to stay. */
  limit(size: number, pageSize: number): number {
    let limit = size;
    for (const cut of this.cuts) limit = Math.min(limit, Math.floor(cut.size / pageSize) * pageSize);
    return limit;
  }

  /** Closes the descriptor when nothing needs it any more. */
  releaseIdle(): void {
    if (this.ranges.size > 0 || this.users > 0) return;
    this.close();
  }

  /** Closes the descriptor. */
  close(): void {
    this.watched?.[Symbol.dispose]();
    this.watched = null;
    this.fd?.close();
    this.fd = null;
  }
}
