/** From opcode to the function that serves it. INIT and DESTROY belong to the session itself. */
import * as C from './constants.ts';
import type { OperationRecord } from './operation-record.ts';
import { UNSERVED } from './pending.ts';
import * as directories from './requests/directories.ts';
import * as files from './requests/files.ts';
import * as inodes from './requests/inodes.ts';
import * as ioctls from './requests/ioctls.ts';
import * as locks from './requests/locks.ts';
import * as mappings from './requests/mappings.ts';
import * as names from './requests/names.ts';
import * as xattrs from './requests/xattrs.ts';
import type { ServeContext } from './serve-context.ts';

/** Checks the fields of a request and executes it. @returns a count, a negative errno, or PENDING */
export function serve(context: ServeContext, op: OperationRecord): number {
  switch (op.opcode) {
    case C.FUSE_LOOKUP:
      return names.lookup(context, op);
    case C.FUSE_FORGET:
      return inodes.forget(context, op);
    case C.FUSE_GETATTR:
      return inodes.getattr(context, op);
    case C.FUSE_STATX:
      return inodes.statx(context, op);
    case C.FUSE_IOCTL:
      return ioctls.ioctl(context, op);
    case C.FUSE_SETATTR:
      return inodes.setattr(context, op);
    case C.FUSE_READLINK:
      return inodes.readlink(context, op);
    case C.FUSE_SYMLINK:
      return names.symlink(context, op);
    case C.FUSE_MKNOD:
      return names.mknod(context, op);
    case C.FUSE_MKDIR:
      return names.mkdir(context, op);
    case C.FUSE_UNLINK:
      return names.unlink(context, op);
    case C.FUSE_RMDIR:
      return names.rmdir(context, op);
    case C.FUSE_RENAME:
      return names.rename(context, op);
    case C.FUSE_LINK:
      return names.link(context, op);
    case C.FUSE_OPEN:
      return files.open(context, op);
    case C.FUSE_READ:
      return files.read(context, op);
    case C.FUSE_WRITE:
      return files.write(context, op);
    case C.FUSE_STATFS:
      return inodes.statfs(context, op);
    case C.FUSE_RELEASE:
      return files.release(context, op);
    case C.FUSE_FSYNC:
      return files.fsync(context, op);
    case C.FUSE_SETXATTR:
      return xattrs.setxattr(context, op);
    case C.FUSE_GETXATTR:
      return xattrs.getxattr(context, op);
    case C.FUSE_LISTXATTR:
      return xattrs.listxattr(context, op);
    case C.FUSE_REMOVEXATTR:
      return xattrs.removexattr(context, op);
    case C.FUSE_FLUSH:
      return files.flush(context, op);
    case C.FUSE_GETLK:
      return locks.getlk(context, op);
    case C.FUSE_SETLK:
    case C.FUSE_SETLKW:
      return locks.setlk(context, op);
    case C.FUSE_OPENDIR:
      return directories.opendir(context, op);
    case C.FUSE_READDIR:
    case C.FUSE_READDIRPLUS:
      return directories.readdir(context, op);
    case C.FUSE_RELEASEDIR:
      return directories.releasedir(context, op);
    case C.FUSE_FSYNCDIR:
      return directories.fsyncdir(context, op);
    case C.FUSE_CREATE:
      return names.create(context, op);
    case C.FUSE_INTERRUPT:
      return 0;
    case C.FUSE_BATCH_FORGET:
      return inodes.batchForget(context, op);
    case C.FUSE_FALLOCATE:
      return files.fallocate(context, op);
    case C.FUSE_RENAME2:
      return names.rename2(context, op);
    case C.FUSE_LSEEK:
      return files.lseek(context, op);
    case C.FUSE_COPY_FILE_RANGE:
    case C.FUSE_COPY_FILE_RANGE_64:
      return files.copyFileRange(context, op);
    case C.FUSE_SETUPMAPPING:
      return mappings.setupMapping(context, op);
    case C.FUSE_REMOVEMAPPING:
      return mappings.removeMapping(context, op);
    case C.FUSE_SYNCFS:
      return inodes.syncfs(context, op);
    case C.FUSE_TMPFILE:
      return names.tmpfile(context, op);
    default:
      return UNSERVED;
  }
}
