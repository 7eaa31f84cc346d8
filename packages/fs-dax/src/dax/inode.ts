/** What the window knows of one inode. */
import type { Fd } from '@oriel/sys';
import type { DaxRange } from './range.ts';

export class DaxInode {
  readonly nodeid: number;
  /** An open file description of its own, held while ranges exist: QEMU moves the shared file offset. */
  fd: Fd | null = null;
  readonly ranges = new Set<DaxRange>();
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

  /** Closes the descriptor when nothing needs it any more. */
  releaseIdle(): void {
    if (this.ranges.size > 0 || this.users > 0) return;
    this.fd?.close();
    this.fd = null;
  }
}
