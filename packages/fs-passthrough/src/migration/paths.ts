/** Paths of inodes below the share: asked of the kernel, walked name by name, never through a symbolic link. */
import { ELOOP, ENAMETOOLONG, ENOENT, S_IFDIR } from '@oriel/sys';
import { ROOT } from '../inode-rows.ts';
import type { Share } from '../share.ts';

const SLASH = 0x2f;
const DOT = 0x2e;
const NAME_MAX = 255;

/** Uses the path memory of the share's scratch. */
export class InodePaths {
  readonly #share: Share;
  /** With a slash at its end. */
  readonly #root: Uint8Array;

  /** @param share - of which the root's path is asked now: it may be renamed later */
  constructor(share: Share) {
    this.#share = share;
    const len = this.#ask(ROOT);
    const root = share.scratch.bytes.slice(share.scratch.pathAt, share.scratch.pathAt + Math.max(0, len));
    this.#root = root.length > 0 && root[root.length - 1] !== SLASH ? Buffer.concat([root, Buffer.of(SLASH)]) : root;
  }

  /** Where the paths of the share begin in the path memory of `scratch`, behind `of`. */
  get at(): number {
    return this.#share.scratch.pathAt + this.#root.length;
  }

  /**
   * The path of an inode, as the kernel knows it; it may be wrong or of no use by now, so it is walked before it counts.
   * @returns its length, its bytes at `at`; or a negative errno
   */
  of(slot: number): number {
    const { bytes, pathAt } = this.#share.scratch;
    const len = this.#ask(slot);
    if (len < 0) {
      return len;
    }
    const root = this.#root;
    if (root.length === 0 || len <= root.length) {
      return -ENOENT;
    }
    for (let at = 0; at < root.length; at++) {
      if (bytes[pathAt + at] !== root[at]) return -ENOENT;
    }
    return len - root.length;
  }

  /** True for an open file below the root: what was found otherwise may be anywhere. @param fd - lent */
  inside(fd: number): boolean {
    const { bytes, pathAt } = this.#share.scratch;
    const len = this.#askFd(fd);
    return (
      len > this.#root.length && this.#root.length > 0 && this.#root.every((byte, at) => bytes[pathAt + at] === byte)
    );
  }

  /**
   * Opens what a path below the share leads to now.
   * @param path - hostile input: names with single slashes between them
   * @returns an O_PATH descriptor or a negative errno
   */
  open(path: Uint8Array): number {
    const { scratch, inodes, fd: fds } = this.#share;
    const { bytes, pathAt, pathLen } = scratch;
    if (path.length === 0 || path.length >= pathLen) {
      return -ENAMETOOLONG;
    }
    bytes.set(path, pathAt);
    bytes[pathAt + path.length] = 0;
    let dirfd = inodes.fd(ROOT);
    let own = -1;
    for (let from = 0; from <= path.length; ) {
      const slash = path.indexOf(SLASH, from);
      const to = slash < 0 ? path.length : slash;
      bytes[pathAt + to] = 0;
      const fd = isName(path, from, to) ? this.#share.openEntryPath(dirfd, scratch.path + from) : -ENOENT;
      if (own >= 0) fds.close(own);
      if (fd < 0 || slash < 0) return fd;
      if (!this.#isDirectory(fd)) {
        fds.close(fd);
        return -ELOOP;
      }
      own = fd;
      dirfd = fd;
      from = to + 1;
    }
    return -ENOENT;
  }

  #isDirectory(fd: number): boolean {
    const { status } = this.#share;
    return status.ofFd(fd) === 0 && status.type === S_IFDIR;
  }

  #ask(slot: number): number {
    const fd = this.#share.inodes.fd(slot);
    return fd < 0 ? fd : this.#askFd(fd);
  }

  #askFd(fd: number): number {
    const { scratch, file, inodes, procFd } = this.#share;
    const len = file.readlinkat(procFd, inodes.names.number(fd), scratch.path, scratch.pathLen);
    return len >= scratch.pathLen ? -ENAMETOOLONG : len;
  }
}

/** One component that leads to nowhere but an entry of its directory. */
function isName(path: Uint8Array, from: number, to: number): boolean {
  const len = to - from;
  const dots = path[from] === DOT && (len === 1 || (len === 2 && path[from + 1] === DOT));
  return len >= 1 && len <= NAME_MAX && !dots && !path.subarray(from, to).includes(0);
}
