/** Extended attributes, reached by /proc/self/fd/N: the calls on descriptors refuse O_PATH. */
import type { Name } from '@oriel/fuse';
import {
  type Address,
  EBADF,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  EROFS,
  type SysMem,
  XATTR_LIST_MAX,
} from '@oriel/sys';
import type { Share } from './share.ts';

/** Access lists mean something only where the driver was told to heed them, which it is not. */
const ACCESS_LISTS: readonly string[] = ['system.posix_acl_access', 'system.posix_acl_default'];
const TRUSTED = 'trusted.';
const SECURITY = 'security.';
const CAPABILITY = 'security.capability';

/**
 * Requests on extended attributes. As with a server that lacks CAP_SYS_ADMIN, the guest's root is not the host's: it neither
 * sees `trusted.*` nor sets the host's security labels.
 */
export class XattrRequests {
  readonly #share: Share;
  readonly #mem: SysMem;

  constructor(mem: SysMem, share: Share) {
    this.#share = share;
    this.#mem = mem;
  }

  get(nodeid: number, name: Name, to: Address, size: number): number {
    const key = name.key();
    const slot = this.#share.inodes.slotOf(nodeid);
    const path = slot >= 0 && key.startsWith(TRUSTED) ? -ENODATA : this.#path(slot, key);
    return path < 0 ? path : this.#share.file.getxattr(path, name.addr, to, size);
  }

  set(nodeid: number, name: Name, value: Address, size: number, flags: number): number {
    const path = this.#pathToChange(nodeid, name);
    return path < 0 ? path : this.#share.file.setxattr(path, name.addr, value, size, flags);
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
    const path = this.#pathToChange(nodeid, name);
    return path < 0 ? path : this.#share.file.removexattr(path, name.addr);
  }

  /** @returns the path of an inode with such an attribute, or a negative errno */
  #path(slot: number, key: string): Address {
    if (slot < 0) {
      return -EBADF;
    }
    return ACCESS_LISTS.includes(key) ? -EOPNOTSUPP : this.#share.inodes.path(slot);
  }

  #pathToChange(nodeid: number, name: Name): Address {
    const { inodes, settings } = this.#share;
    const key = name.key();
    const slot = inodes.slotOf(nodeid);
    if (slot >= 0 && settings.readonly) {
      return -EROFS;
    }
    if (slot >= 0 && (key.startsWith(TRUSTED) || (key.startsWith(SECURITY) && key !== CAPABILITY))) {
      return -EPERM;
    }
    return this.#path(slot, key);
  }
}

/** Takes the hidden names out of a list of NUL-terminated names, in place. @returns its new length, bytes */
function hideNames(list: Uint8Array): number {
  let kept = 0;
  let start = 0;
  for (let end = list.indexOf(0); end >= 0; end = list.indexOf(0, start)) {
    const name = Buffer.from(list.subarray(start, end)).toString('latin1');
    if (!ACCESS_LISTS.includes(name) && !name.startsWith(TRUSTED)) {
      list.copyWithin(kept, start, end + 1);
      kept += end + 1 - start;
    }
    start = end + 1;
  }
  return kept;
}
