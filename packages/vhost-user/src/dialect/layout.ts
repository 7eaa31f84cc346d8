/**
 * Structures of the virtio-fs fork of vhost-user (2018 to 2021), before SHMEM_MAP. Their message numbers are used for other
 * messages today, so the dialect is a matter of configuration. Host byte order.
 */
import { array, struct, U16, U32, U64 } from '@oriel/layout';

/** Ranges in one message of form 1, used or not. */
export const VHOST_USER_FS_SLAVE_ENTRIES = 8;

/** `VhostUserFSSlaveMsg`, form 1: 256 bytes; a range with `len` 0 is none. */
export const VhostUserFSSlaveMsg = struct('VhostUserFSSlaveMsg', {
  fdOffset: array(U64, VHOST_USER_FS_SLAVE_ENTRIES),
  cOffset: array(U64, VHOST_USER_FS_SLAVE_ENTRIES),
  len: array(U64, VHOST_USER_FS_SLAVE_ENTRIES),
  flags: array(U64, VHOST_USER_FS_SLAVE_ENTRIES),
});

/** `flags` of a range: the mapping may be read, or the I/O reads from the file. */
export const VHOST_USER_FS_FLAG_MAP_R = 0x1;
/** `flags` of a range: the mapping may be written, or the I/O writes to the file. */
export const VHOST_USER_FS_FLAG_MAP_W = 0x2;

/** Head of `VhostUserFSSlaveMsg`, form 2; `count` ranges follow. */
export const VhostUserFSSlaveMsgHeader = struct('VhostUserFSSlaveMsgHeader', { flags: U32, count: U16, align: U16 });

/** `VhostUserFSSlaveMsgEntry`, form 2. */
export const VhostUserFSSlaveMsgEntry = struct('VhostUserFSSlaveMsgEntry', {
  fdOffset: U64,
  cOffset: U64,
  len: U64,
  flags: U64,
});
