/** Extended attributes, reached by /proc/self/fd/N: the calls on descriptors refuse O_PATH. */
import type { Name } from '@oriel/fuse';
import { type Address, EBADF, EOPNOTSUPP, ERANGE, EROFS, type SysMem, XATTR_LIST_MAX } from '@oriel/sys';
import type { Share } from './share.ts';

/** Access lists mean something only where the driver was told to heed them, which it is not. */
const HIDDEN: readonly string[] = ['system.posix_acl_access', 'system.posix_acl_default'];

/** Requests on extended attributes. */
export class XattrRequests {
  readonly #share: Share;
  readonly #mem: SysMem;

  constructor(mem: SysMem, share: Share) {
    this.#share = share;
    this.#mem = mem;
  }

  get(nodeid: number, name: Name, to: Address, size: number): number {
    const { inodes, file } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (HIDDEN.includes(name.key())) {
      return -EOPNOTSUPP;
    }
    const path = inodes.path(slot);
    return path < 0 ? path : file.getxattr(path, name.addr, to, size);
  }

  set(nodeid: number, name: Name, value: Address, size: number, flags: number): number {
    const { inodes, file, settings } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    if (HIDDEN.includes(name.key())) {
      return -EOPNOTSUPP;
    }
    const path = inodes.path(slot);
    return path < 0 ? path : file.setxattr(path, name.addr, value, size, flags);
  }

  list(nodeid: number, to: Address, size: number): number {
    const { inodes, file, scratch } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    const path = inodes.path(slot);
    const len = path < 0 ? path : file.listxattr(path, scratch.list, XATTR_LIST_MAX);
    if (len < 0) {
      return len;
    }
    const shown = hideNames(scratch.bytes.subarray(scratch.listAt, scratch.listAt + len));
    if (size === 0 || shown === 0) {
      return shown;
    }
    return shown > size ? -ERANGE : this.#mem.copyChecked(to, scratch.list, shown);
  }

  remove(nodeid: number, name: Name): number {
    const { inodes, file, settings } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    if (HIDDEN.includes(name.key())) {
      return -EOPNOTSUPP;
    }
    const path = inodes.path(slot);
    return path < 0 ? path : file.removexattr(path, name.addr);
  }
}

/** Takes the hidden names out of a list of NUL-terminated names, in place. @returns its new length, bytes */
function hideNames(list: Uint8Array): number {
  let kept = 0;
  let start = 0;
  for (let end = list.indexOf(0); end >= 0; end = list.indexOf(0, start)) {
    const name = Buffer.from(list.subarray(start, end)).toString('latin1');
    if (!HIDDEN.includes(name)) {
      list.copyWithin(kept, start, end + 1);
      kept += end + 1 - start;
    }
    start = end + 1;
  }
  return kept;
}
