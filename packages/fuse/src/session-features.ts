/** What a Filesystem wants of its sessions, beyond what every session agrees with its driver. */

/** Each is agreed where the driver offers it; what was agreed is told by `Filesystem.initialised`. */
export interface SessionFeatures {
  /** READDIRPLUS in place of READDIR. Default true. */
  readonly readdirplus?: boolean;
  /**
   * Clearing set-id bits is asked for by flags of WRITE, OPEN, CREATE and SETATTR (FUSE_HANDLE_KILLPRIV_V2). Without it a driver
   * does so itself, with requests of its own. Default true.
   */
  readonly killprivV2?: boolean;
  /** The driver keeps written data, sizes and times for a while (FUSE_WRITEBACK_CACHE). Default false. */
  readonly writebackCache?: boolean;
  /**
   * Access lists count, and the umask is the Filesystem's to apply (FUSE_POSIX_ACL with FUSE_DONT_MASK and FUSE_SETXATTR_EXT, or
   * none of them). Default false.
   */
  readonly posixAcl?: boolean;
  /** Creating requests bring the new inode's label: `op.security` (FUSE_SECURITY_CTX). Default false. */
  readonly securityContexts?: boolean;
  /** Shared mappings of files that are opened with FOPEN_DIRECT_IO (FUSE_DIRECT_IO_ALLOW_MMAP). Default false. */
  readonly directIoMmap?: boolean;
  /** FUSE_ATTR_SUBMOUNT may come (FUSE_SUBMOUNTS). Default false. */
  readonly submounts?: boolean;
}
