/** The records of a share's state, little-endian. The first is of the tables, then inodes, then handles. */
import { bytes, struct, U32, U64 } from '@oriel/layout';

export const TABLES_RECORD = 1;
export const INODE_RECORD = 2;
export const HANDLE_RECORD = 3;

/** Above every slot of both tables, and more uses than any slot had. */
export const TablesRecord = struct('share_tables', {
  kind: U32,
  reserved: U32,
  inodeEnd: U64,
  inodeUses: U64,
  handleEnd: U64,
  handleUses: U64,
});

/** `handle` counts: what is found must have it. */
export const HAS_HANDLE = 1;
/** Where no path leads to it, `handle` does. */
export const BY_HANDLE = 2;

/** An inode; its path below the share follows, `pathLen` bytes without NUL, 0: none leads to it. */
export const InodeRecord = struct('share_inode', {
  kind: U32,
  flags: U32,
  nodeid: U64,
  lookups: U64,
  /** S_IF* */
  type: U32,
  pathLen: U32,
  /** A `struct file_handle`, zeros behind it. */
  handle: bytes(32),
});

/** An open file or directory. */
export const HandleRecord = struct('share_handle', { kind: U32, flags: U32, fh: U64, nodeid: U64 });
