/** What the window knows of one inode. */

import type { Operation } from '@oriel/fuse';
import type { Fd } from '@oriel/sys';
import type { DaxRange } from './range.ts';

export class DaxInode {
  readonly nodeid: number;
  /** An open file description of its own, held while ranges exist: QEMU moves the shared file offset. */
  fd: Fd | null = null;
  readonly ranges = new Set<DaxRange>();
  /** The driver was told that this inode uses DAX. */
  flagged = false;
  /** Whether a descriptor for a mapping can be had; null: not tried yet. */
  openable: boolean | null = null;
  /** The guest changed this file's size or content through this session. */
  guestSized = false;
  /** While the file is grown for a map request: its true size, bytes; otherwise -1. */
  trueSize = -1;
  /** Requests for this inode that wait until it is no longer grown. */
  readonly held: Operation[] = [];
  path = '';

  constructor(nodeid: number) {
    this.nodeid = nodeid;
  }

  get growing(): boolean {
    return this.trueSize >= 0;
  }

  release(): void {
    this.fd?.close();
    this.fd = null;
  }
}
