/** An inode of the memory file system. */
import { EINVAL, ENOSPC, EOPNOTSUPP, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '@oriel/sys';
import { TreeNode } from '../tree/tree-node.ts';
import { MemoryXattrs } from './memory-xattrs.ts';

/** Largest file: it lives in memory. */
const SIZE_MAX = 64 * 1024 * 1024;

/** A file, directory, symlink or special file; `data` is content or target. */
export class MemoryNode extends TreeNode {
  readonly nodeid: number;
  size = 0;
  data: Uint8Array = new Uint8Array(0);
  /** Of a directory, by `Name.key()`; null elsewhere. */
  readonly children: Map<string, MemoryNode> | null;
  /** The directory that holds a directory; itself for the root. */
  parent: MemoryNode = this;
  readonly xattrs: MemoryXattrs = new MemoryXattrs();
  /** Lookups that the driver holds, and open handles: what keeps an unlinked node alive. */
  lookups = 0;
  opens = 0;

  constructor(nodeid: number, mode: number, uid: number, gid: number) {
    super(mode);
    this.nodeid = nodeid;
    this.uid = uid;
    this.gid = gid;
    this.children = this.isDirectory ? new Map() : null;
  }

  /** Cuts or grows the content; what is new is zero. @returns 0 or -ENOSPC */
  resize(size: number): number {
    if (size > SIZE_MAX) return -ENOSPC;
    if (size > this.data.length) {
      const grown = new Uint8Array(Math.max(size, Math.min(this.data.length * 2, SIZE_MAX)));
      grown.set(this.data.subarray(0, this.size));
      this.data = grown;
    } else if (size < this.size) {
      this.data.fill(0, size, this.size);
    }
    this.size = size;
    return 0;
  }

  /** Has the content reach to `end`. @returns 0 or -ENOSPC */
  growTo(end: number): number {
    return end > this.size ? this.resize(end) : 0;
  }

  /** Answers a FALLOCATE. */
  fallocate(offset: number, len: number, mode: number): number {
    this.touch(true);
    if (mode === 0) return this.growTo(offset + len);
    if (mode === (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) this.data.fill(0, offset, offset + len);
    else if (mode !== FALLOC_FL_KEEP_SIZE) return -EOPNOTSUPP;
    return 0;
  }

  /** Answers a COPY_FILE_RANGE. @returns bytes copied, or a negative errno */
  copyFrom(from: MemoryNode, offset: number, at: number, len: number): number {
    const count = Math.min(len, Math.max(0, from.size - offset));
    if (from === this && offset < at + count && at < offset + count) return -EINVAL;
    const error = this.growTo(at + count);
    if (error < 0) return error;
    this.data.set(from.data.subarray(offset, offset + count), at);
    this.touch(true);
    return count;
  }
}
