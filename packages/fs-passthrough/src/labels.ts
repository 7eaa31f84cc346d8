/** The label of a new inode: an extended attribute that it has before anybody is told of it. */
import type { Operation } from '@oriel/fuse';
import { type Address, AT_REMOVEDIR, S_IFDIR } from '@oriel/sys';
import type { Share } from './share.ts';
import type { XattrNames } from './xattrs/xattr-names.ts';

/** No name: a file of TMPFILE, which goes by itself. */
export const NAMELESS: Address = 0;

/** Labels what requests make. */
export class Labels {
  readonly #share: Share;
  readonly #names: XattrNames;

  constructor(share: Share, names: XattrNames) {
    this.#share = share;
    this.#names = names;
  }

  /**
   * Gives an inode that was just made, and that the share does not know yet, the label of its request, if that has one. If it cannot
   * be had the inode goes again.
   * @param fd - O_PATH descriptor
   * @param type - S_IF* bits
   * @param dirfd - where it was made, by `name`
   * @returns 0 or a negative errno
   */
  apply(op: Operation, fd: number, type: number, dirfd: number, name: Address): number {
    const { security } = op;
    if (security === null) {
      return 0;
    }
    const { file, inodes } = this.#share;
    const host = this.#names.toChange(security.name);
    const result = host < 0 ? host : file.setxattr(inodes.names.path(fd), host, security.value, security.size, 0);
    if (result < 0 && name !== NAMELESS) {
      file.unlinkat(dirfd, name, type === S_IFDIR ? AT_REMOVEDIR : 0);
    }
    return result;
  }
}
