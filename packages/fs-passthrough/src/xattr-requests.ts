/** Extended attributes, reached by /proc/self/fd/N: the calls on descriptors refuse O_PATH. */
import type { Intent, Name, Operation } from '@oriel/fuse';
import {
  type Address,
  EBADF,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  EROFS,
  type SysMem,
  XATTR_CREATE,
  XATTR_LIST_MAX,
} from '@oriel/sys';
import type { Share } from './share.ts';

/** Access lists mean something only where the driver was told to heed them, which it is not. */
const ACCESS_LISTS: readonly string[] = ['system.posix_acl_access', 'system.posix_acl_default'];
/** What a journal notes of an attribute. */
const ABSENT = 0;
const PRESENT = 1;
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

  set(op: Operation, nodeid: number, name: Name, value: Address, size: number, flags: number): number {
    const path = this.#pathToChange(nodeid, name);
    if (path < 0) {
      return path;
    }
    const own = op.intent !== null && flags === XATTR_CREATE && this.#changed(op.intent, path, name, ABSENT);
    return this.#share.file.setxattr(path, name.addr, value, size, own ? 0 : flags);
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

  remove(op: Operation, nodeid: number, name: Name): number {
    const path = this.#pathToChange(nodeid, name);
    if (path < 0) {
      return path;
    }
    const own = op.intent !== null && this.#changed(op.intent, path, name, PRESENT);
    const result = this.#share.file.removexattr(path, name.addr);
    return own && result === -ENODATA ? 0 : result;
  }

  /**
   * Notes whether an attribute is there; of a request that is done anew, tells whether it was as `before` at first.
   * A process that ended has changed it then, if it is not so now.
   */
  #changed(intent: Intent, path: Address, name: Name, before: number): boolean {
    if (intent.again && intent.hasNumber) {
      return intent.number === before;
    }
    const size = this.#share.file.getxattr(path, name.addr, this.#share.scratch.path, 0);
    intent.number = size === -ENODATA ? ABSENT : PRESENT;
    return false;
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
