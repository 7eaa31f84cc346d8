/** Every structure of the FUSE protocol that virtiofs uses (linux/fuse.h 7.46). Little-endian; names follow directly behind. */
import { array, bytes, I32, pad, struct, U16, U32, U64 } from '@oriel/layout';

export const FuseInHeader = struct('fuse_in_header', {
  len: U32,
  opcode: U32,
  unique: U64,
  nodeid: U64,
  uid: U32,
  gid: U32,
  pid: U32,
  /** Length of the extensions in units of 8 bytes. */
  totalExtlen: U16,
  padding: U16,
});

export const FuseOutHeader = struct('fuse_out_header', { len: U32, error: I32, unique: U64 });

export const FuseAttr = struct('fuse_attr', {
  ino: U64,
  size: U64,
  blocks: U64,
  atime: U64,
  mtime: U64,
  ctime: U64,
  atimensec: U32,
  mtimensec: U32,
  ctimensec: U32,
  mode: U32,
  nlink: U32,
  uid: U32,
  gid: U32,
  rdev: U32,
  blksize: U32,
  flags: U32,
});

export const FuseEntryOut = struct('fuse_entry_out', {
  nodeid: U64,
  generation: U64,
  entryValid: U64,
  attrValid: U64,
  entryValidNsec: U32,
  attrValidNsec: U32,
  attr: bytes(FuseAttr.byteLength, 8),
});

export const FuseAttrOut = struct('fuse_attr_out', {
  attrValid: U64,
  attrValidNsec: U32,
  dummy: U32,
  attr: bytes(FuseAttr.byteLength, 8),
});

export const FuseKstatfs = struct('fuse_kstatfs', {
  blocks: U64,
  bfree: U64,
  bavail: U64,
  files: U64,
  ffree: U64,
  bsize: U32,
  namelen: U32,
  frsize: U32,
  padding: U32,
  spare: array(U32, 6),
});

export const FuseSxTime = struct('fuse_sx_time', { tvSec: U64, tvNsec: U32, reserved: I32 });

export const FuseStatx = struct('fuse_statx', {
  mask: U32,
  blksize: U32,
  attributes: U64,
  nlink: U32,
  uid: U32,
  gid: U32,
  mode: U16,
  spare0: U16,
  ino: U64,
  size: U64,
  blocks: U64,
  attributesMask: U64,
  atime: bytes(16, 8),
  btime: bytes(16, 8),
  ctime: bytes(16, 8),
  mtime: bytes(16, 8),
  rdevMajor: U32,
  rdevMinor: U32,
  devMajor: U32,
  devMinor: U32,
  spare2: array(U64, 14),
});

export const FuseFileLock = struct('fuse_file_lock', { start: U64, end: U64, type: U32, pid: U32 });

export const FuseForgetIn = struct('fuse_forget_in', { nlookup: U64 });
export const FuseForgetOne = struct('fuse_forget_one', { nodeid: U64, nlookup: U64 });
export const FuseBatchForgetIn = struct('fuse_batch_forget_in', { count: U32, dummy: U32 });
export const FuseGetattrIn = struct('fuse_getattr_in', { getattrFlags: U32, dummy: U32, fh: U64 });

export const FuseStatxIn = struct('fuse_statx_in', {
  getattrFlags: U32,
  reserved: U32,
  fh: U64,
  sxFlags: U32,
  sxMask: U32,
});

export const FuseStatxOut = struct('fuse_statx_out', {
  attrValid: U64,
  attrValidNsec: U32,
  flags: U32,
  spare: array(U64, 2),
  stat: bytes(FuseStatx.byteLength, 8),
});

export const FuseMknodIn = struct('fuse_mknod_in', { mode: U32, rdev: U32, umask: U32, padding: U32 });
export const FuseMkdirIn = struct('fuse_mkdir_in', { mode: U32, umask: U32 });
export const FuseRenameIn = struct('fuse_rename_in', { newdir: U64 });
export const FuseRename2In = struct('fuse_rename2_in', { newdir: U64, flags: U32, padding: U32 });
export const FuseLinkIn = struct('fuse_link_in', { oldnodeid: U64 });

export const FuseSetattrIn = struct('fuse_setattr_in', {
  valid: U32,
  padding: U32,
  fh: U64,
  size: U64,
  lockOwner: U64,
  atime: U64,
  mtime: U64,
  ctime: U64,
  atimensec: U32,
  mtimensec: U32,
  ctimensec: U32,
  mode: U32,
  unused4: U32,
  uid: U32,
  gid: U32,
  unused5: U32,
});

export const FuseOpenIn = struct('fuse_open_in', { flags: U32, openFlags: U32 });
export const FuseCreateIn = struct('fuse_create_in', { flags: U32, mode: U32, umask: U32, openFlags: U32 });
export const FuseOpenOut = struct('fuse_open_out', { fh: U64, openFlags: U32, backingId: I32 });
export const FuseReleaseIn = struct('fuse_release_in', { fh: U64, flags: U32, releaseFlags: U32, lockOwner: U64 });
export const FuseFlushIn = struct('fuse_flush_in', { fh: U64, unused: U32, padding: U32, lockOwner: U64 });

export const FuseReadIn = struct('fuse_read_in', {
  fh: U64,
  offset: U64,
  size: U32,
  readFlags: U32,
  lockOwner: U64,
  flags: U32,
  padding: U32,
});

export const FuseWriteIn = struct('fuse_write_in', {
  fh: U64,
  offset: U64,
  size: U32,
  writeFlags: U32,
  lockOwner: U64,
  flags: U32,
  padding: U32,
});

export const FuseWriteOut = struct('fuse_write_out', { size: U32, padding: U32 });
export const FuseFsyncIn = struct('fuse_fsync_in', { fh: U64, fsyncFlags: U32, padding: U32 });
export const FuseSetxattrIn = struct('fuse_setxattr_in', { size: U32, flags: U32, setxattrFlags: U32, padding: U32 });
/** Bytes of `fuse_setxattr_in` unless FUSE_SETXATTR_EXT was agreed. */
export const FUSE_COMPAT_SETXATTR_IN_SIZE = 8;
export const FuseGetxattrIn = struct('fuse_getxattr_in', { size: U32, padding: U32 });
export const FuseGetxattrOut = struct('fuse_getxattr_out', { size: U32, padding: U32 });

export const FuseLkIn = struct('fuse_lk_in', {
  fh: U64,
  owner: U64,
  lk: bytes(FuseFileLock.byteLength, 8),
  lkFlags: U32,
  padding: U32,
});
export const FuseLkOut = struct('fuse_lk_out', { lk: bytes(FuseFileLock.byteLength, 8) });

export const FuseInitIn = struct('fuse_init_in', {
  major: U32,
  minor: U32,
  maxReadahead: U32,
  flags: U32,
  flags2: U32,
  unused: array(U32, 11),
});

export const FuseInitOut = struct('fuse_init_out', {
  major: U32,
  minor: U32,
  maxReadahead: U32,
  flags: U32,
  maxBackground: U16,
  congestionThreshold: U16,
  maxWrite: U32,
  timeGran: U32,
  maxPages: U16,
  mapAlignment: U16,
  flags2: U32,
  maxStackDepth: U32,
  requestTimeout: U16,
  unused: array(U16, 11),
});

export const FuseInterruptIn = struct('fuse_interrupt_in', { unique: U64 });

export const FuseIoctlIn = struct('fuse_ioctl_in', {
  fh: U64,
  flags: U32,
  cmd: U32,
  arg: U64,
  inSize: U32,
  outSize: U32,
});
export const FuseIoctlOut = struct('fuse_ioctl_out', { result: I32, flags: U32, inIovs: U32, outIovs: U32 });
export const FusePollIn = struct('fuse_poll_in', { fh: U64, kh: U64, flags: U32, events: U32 });
export const FusePollOut = struct('fuse_poll_out', { revents: U32, padding: U32 });
export const FuseFallocateIn = struct('fuse_fallocate_in', {
  fh: U64,
  offset: U64,
  length: U64,
  mode: U32,
  padding: U32,
});
export const FuseLseekIn = struct('fuse_lseek_in', { fh: U64, offset: U64, whence: U32, padding: U32 });
export const FuseLseekOut = struct('fuse_lseek_out', { offset: U64 });

export const FuseCopyFileRangeIn = struct('fuse_copy_file_range_in', {
  fhIn: U64,
  offIn: U64,
  nodeidOut: U64,
  fhOut: U64,
  offOut: U64,
  len: U64,
  flags: U64,
});
export const FuseCopyFileRangeOut = struct('fuse_copy_file_range_out', { bytesCopied: U64 });

export const FuseSetupmappingIn = struct('fuse_setupmapping_in', {
  fh: U64,
  foffset: U64,
  len: U64,
  flags: U64,
  moffset: U64,
});
/** Followed by `count` {@link FuseRemovemappingOne}, with no padding between: the array starts at byte 44 of the message. */
export const FuseRemovemappingIn = struct('fuse_removemapping_in', { count: U32 });
export const FuseRemovemappingOne = struct('fuse_removemapping_one', { moffset: U64, len: U64 });

export const FuseSyncfsIn = struct('fuse_syncfs_in', { padding: pad(8) });
export const FuseSecctx = struct('fuse_secctx', { size: U32, padding: U32 });
export const FuseSecctxHeader = struct('fuse_secctx_header', { size: U32, nrSecctx: U32 });
export const FuseExtHeader = struct('fuse_ext_header', { size: U32, type: U32 });
export const FuseSuppGroups = struct('fuse_supp_groups', { nrGroups: U32 });

/** Followed by `namelen` bytes of name and zeros up to a multiple of 8. */
export const FuseDirent = struct('fuse_dirent', { ino: U64, off: U64, namelen: U32, type: U32 });
export const FuseDirentplus = struct('fuse_direntplus', {
  entryOut: bytes(FuseEntryOut.byteLength, 8),
  dirent: bytes(FuseDirent.byteLength, 8),
});
