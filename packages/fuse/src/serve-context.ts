/** What the request functions share: the file system, the hooks, and what INIT agreed. */
import type { Filesystem } from './filesystem.ts';
import type { SessionHooks } from './hooks.ts';
import type { Operation } from './operation.ts';
import { RecordBuffers } from './record-buffers.ts';

/** Largest entries in a REMOVEMAPPING: what a 64 KiB page of pairs holds. */
export const MAX_REMOVALS = 4096;

/** One session's surroundings. */
export class ServeContext {
  readonly fs: Filesystem;
  readonly hooks: SessionHooks;
  readonly buffers: RecordBuffers;
  /** FUSE_SETXATTR_EXT was agreed: `fuse_setxattr_in` has 16 bytes. */
  setxattrExt = false;
  /** FUSE_SECURITY_CTX was agreed: creating requests may bring a label. */
  securityContexts = false;
  /** Pairs of REMOVEMAPPING. */
  readonly moffsets: Float64Array = new Float64Array(MAX_REMOVALS);
  readonly lens: Float64Array = new Float64Array(MAX_REMOVALS);

  /** @param recordBytes - most bytes of directory records in a reply */
  constructor(fs: Filesystem, hooks: SessionHooks, recordBytes: number) {
    this.fs = fs;
    this.hooks = hooks;
    this.buffers = new RecordBuffers(recordBytes);
  }

  /** Takes `count` lookups of an inode back. @param op - the request, or null */
  forget(nodeid: number, count: number, op: Operation | null): void {
    this.fs.forget(nodeid, count, op);
    if (this.hooks.forgotten !== undefined) {
      this.hooks.forgotten(nodeid);
    }
  }
}
