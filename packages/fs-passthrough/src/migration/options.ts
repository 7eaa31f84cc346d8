/** What the move of a session can be told, with virtiofsd's names. */

/**
 * How the other side finds an inode: `find-paths` by its path, in the same directory or a copy; `file-handles` where no path
 * leads to it (any more) by file handle too, on the same file system.
 */
export type MigrationMode = 'find-paths' | 'file-handles';

/** An inode that this side does not find: the move ends and the VM stays, or the guest's requests for it fail. */
export type MigrationOnError = 'abort' | 'guest-error';

export interface MigrationOptions {
  /** When this side tells. Default 'find-paths'. */
  readonly mode?: MigrationMode;
  /** When this side takes. Default 'abort'. */
  readonly onError?: MigrationOnError;
  /** Tell handles with the paths: the other side takes no other inode of that name for it. Not for copies. Default false. */
  readonly verifyHandles?: boolean;
}
