/** How a handle of another process, or of another host, is opened again here. */
import {
  EINVAL,
  EROFS,
  ESTALE,
  O_ACCMODE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_RDONLY,
  O_TRUNC,
  S_IFDIR,
  S_IFREG,
} from '@oriel/sys';
import { DIRECTORY_FLAGS } from './directory-requests.ts';
import type { Share } from './share.ts';

/** Done once, at the first open. */
const FIRST_ONLY = O_TRUNC | O_CREAT | O_EXCL;

/**
 * What a guest could have opened now, as it was opened then. What is told may be anybody's.
 * @param told - O_* of the open then, O_DIRECTORY for a directory
 * @returns O_* for `Share.openInode`; -ESTALE where the inode is of another kind, -EINVAL for a special file, -EROFS
 */
export function reopenFlags(share: Share, slot: number, told: number): number {
  const type = share.inodes.type(slot);
  if (type !== S_IFDIR && type !== S_IFREG) {
    return -EINVAL;
  }
  if ((type === S_IFDIR) !== ((told & O_DIRECTORY) !== 0)) {
    return -ESTALE;
  }
  if (type === S_IFDIR) {
    return DIRECTORY_FLAGS;
  }
  if (share.settings.readonly && (told & O_ACCMODE) !== O_RDONLY) {
    return -EROFS;
  }
  return share.hostFlags(told & ~FIRST_ONLY) | O_NOCTTY;
}
