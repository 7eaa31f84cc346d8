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
   * Gives an inode that was just made the label of its request, if that has one. If it cannot be had the inode goes again.
   * @param slot - nobody looked it up yet
   * @param dirfd - where it was made, by `name`
   * @returns 0 or a negative errno
   */
  apply(op: Operation, slot: number, dirfd: number, name: Address): number {
    const { security } = op;
    if (security === null) {
      return 0;
    }
    const { file, inodes } = this.#share;
    const host = this.#names.toChange(security.name);
    const path = host < 0 ? host : inodes.path(slot);
    const result = path < 0 ? path : file.setxattr(path, host, security.value, security.size, 0);
    if (result < 0) {
      const flags = inodes.type(slot) === S_IFDIR ? AT_REMOVEDIR : 0;
      inodes.dropUnused(slot);
      if (name !== NAMELESS) {
        file.unlinkat(dirfd, name, flags);
      }
    }
    return result;
  }
}
