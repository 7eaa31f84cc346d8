/** Extended attributes, reached by /proc/self/fd/N: the calls on descriptors refuse O_PATH. */
import type { Intent, Name, Operation } from '@oriel/fuse';
import {
  type Address,
  EBADF,
  ENODATA,
  ERANGE,
  EROFS,
  S_ISGID,
  type SysMem,
  XATTR_CREATE,
  XATTR_LIST_MAX,
} from '@oriel/sys';
import type { Share } from '../share.ts';
import { ACL_ACCESS, type XattrNames } from './xattr-names.ts';

/** What a journal notes of an attribute. */
const ABSENT = 0;
const PRESENT = 1;
const MODE_BITS = 0o7777;

/** Requests on extended attributes. */
export class XattrRequests {
  readonly #share: Share;
  readonly #mem: SysMem;
  readonly #names: XattrNames;

  constructor(mem: SysMem, share: Share, names: XattrNames) {
    this.#share = share;
    this.#mem = mem;
    this.#names = names;
  }

  get(nodeid: number, name: Name, to: Address, size: number): number {
    const { inodes, file } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    const host = this.#names.toRead(name);
    if (host < 0) {
      return host;
    }
    const path = inodes.path(slot);
    return path < 0 ? path : file.getxattr(path, host, to, size);
  }

  /** @param killSgid - the access list makes the file's group one that its owner is not in */
  set(
    op: Operation,
    nodeid: number,
    name: Name,
    value: Address,
    size: number,
    flags: number,
    killSgid: boolean,
  ): number {
    const slot = this.#slotToChange(nodeid);
    const host = slot < 0 ? slot : this.#names.toChange(name);
    if (host < 0) {
      return host;
    }
    const path = this.#share.inodes.path(slot);
    if (path < 0) {
      return path;
    }
    const own = op.intent !== null && flags === XATTR_CREATE && this.#changed(op.intent, path, host, ABSENT);
    const result = this.#share.file.setxattr(path, host, value, size, own ? 0 : flags);
    return result === 0 && killSgid && name.key() === ACL_ACCESS ? this.#clearSgid(slot) : result;
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
    const shown = this.#names.showList(scratch.bytes.subarray(scratch.listAt, scratch.listAt + len));
    if (size === 0 || shown === 0) {
      return shown;
    }
    return shown > size ? -ERANGE : this.#mem.copyChecked(to, scratch.list, shown);
  }

  remove(op: Operation, nodeid: number, name: Name): number {
    const slot = this.#slotToChange(nodeid);
    const host = slot < 0 ? slot : this.#names.toChange(name);
    if (host < 0) {
      return host;
    }
    const path = this.#share.inodes.path(slot);
    if (path < 0) {
      return path;
    }
    const own = op.intent !== null && this.#changed(op.intent, path, host, PRESENT);
    const result = this.#share.file.removexattr(path, host);
    return own && result === -ENODATA ? 0 : result;
  }

  /**
   * Notes whether an attribute is there; of a request that is done anew, tells whether it was as `before` at first.
   * A process that ended has changed it then, if it is not so now.
   */
  #changed(intent: Intent, path: Address, host: Address, before: number): boolean {
    if (intent.again && intent.hasNumber) {
      return intent.number === before;
    }
    const size = this.#share.file.getxattr(path, host, this.#share.scratch.list, 0);
    intent.number = size === -ENODATA ? ABSENT : PRESENT;
    return false;
  }

  /** This process may keep any group's bit, so it is taken away as the driver asked. */
  #clearSgid(slot: number): number {
    const { file, inodes, procFd, status } = this.#share;
    const failed = status.ofFd(inodes.fd(slot));
    if (failed < 0 || (status.mode & S_ISGID) === 0) {
      return failed;
    }
    return file.fchmodat(procFd, inodes.number(slot), status.mode & MODE_BITS & ~S_ISGID);
  }

  #slotToChange(nodeid: number): number {
    const { inodes, settings } = this.#share;
    const slot = inodes.slotOf(nodeid);
    return slot < 0 ? -EBADF : settings.readonly ? -EROFS : slot;
  }
}
