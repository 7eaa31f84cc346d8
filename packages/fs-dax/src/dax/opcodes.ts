/** What a FUSE request may do to files, by opcode. */
import {
  FUSE_COPY_FILE_RANGE,
  FUSE_COPY_FILE_RANGE_64,
  FUSE_CREATE,
  FUSE_FALLOCATE,
  FUSE_FLUSH,
  FUSE_FSYNC,
  FUSE_LINK,
  FUSE_LOOKUP,
  FUSE_MKDIR,
  FUSE_MKNOD,
  FUSE_OPEN,
  FUSE_RELEASE,
  FUSE_SETATTR,
  FUSE_SYMLINK,
  FUSE_TMPFILE,
  FUSE_WRITE,
} from '@oriel/fuse';

/** Requests after which a file may have another size or other content. */
export function changesContent(opcode: number): boolean {
  return opcode === FUSE_WRITE || opcode === FUSE_SETATTR || opcode === FUSE_FALLOCATE || touchesSecondInode(opcode);
}

/** Requests that change another inode than the header's. */
export function touchesSecondInode(opcode: number): boolean {
  return opcode === FUSE_COPY_FILE_RANGE || opcode === FUSE_COPY_FILE_RANGE_64;
}

/** Requests whose answer holds an entry: the inode is not the header's. */
export function answersEntry(opcode: number): boolean {
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_TMPFILE:
      return true;
    default:
      return false;
  }
}

/** Requests before which the host's file must hold what the guest stored. */
export function synchronises(opcode: number): boolean {
  return opcode === FUSE_FSYNC || opcode === FUSE_FLUSH || opcode === FUSE_RELEASE || opcode === FUSE_OPEN;
}
