/** What the files of a tree have in common. */
import { S_IFDIR, S_IFMT } from '@oriel/sys';

/** A file, directory or link of a {@link Tree}. Extend it with what your files need. Times: seconds and ns, by turns. */
export class TreeNode {
  /** Type and permission bits. */
  mode: number;
  uid = 0;
  gid = 0;
  /** Names of it; of a directory: 2 and its directories. Kept by the file system in a tree that can be written. */
  nlink: number;
  /** Of a device: as in `struct fuse_attr`. */
  rdev = 0;
  atime = 0;
  atimeNs = 0;
  mtime = 0;
  mtimeNs = 0;
  ctime = 0;
  ctimeNs = 0;

  /** @param mode - S_IF* and permission bits */
  constructor(mode: number) {
    this.mode = mode;
    this.nlink = (mode & S_IFMT) === S_IFDIR ? 2 : 1;
    this.touch(true);
    this.atime = this.mtime;
    this.atimeNs = this.mtimeNs;
  }

  /** S_IF*. */
  get type(): number {
    return this.mode & S_IFMT;
  }

  get isDirectory(): boolean {
    return this.type === S_IFDIR;
  }

  /** It changed now: ctime, and mtime where the content changed. */
  touch(content: boolean): void {
    const ms = Date.now();
    this.ctime = Math.floor(ms / 1000);
    this.ctimeNs = (ms % 1000) * 1_000_000;
    if (content) {
      this.mtime = this.ctime;
      this.mtimeNs = this.ctimeNs;
    }
  }
}
