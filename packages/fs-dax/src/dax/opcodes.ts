/** What a FUSE request means for the window, by opcode: one table look-up for the requests that mean nothing to it. */
import {
  FUSE_COPY_FILE_RANGE,
  FUSE_COPY_FILE_RANGE_64,
  FUSE_CREATE,
  FUSE_FALLOCATE,
  FUSE_FLUSH,
  FUSE_FSYNC,
  FUSE_GETATTR,
  FUSE_LINK,
  FUSE_LOOKUP,
  FUSE_MKNOD,
  FUSE_OPEN,
  FUSE_READ,
  FUSE_RELEASE,
  FUSE_RENAME,
  FUSE_RENAME2,
  FUSE_SETATTR,
  FUSE_STATX,
  FUSE_SYNCFS,
  FUSE_TMPFILE,
  FUSE_UNLINK,
  FUSE_WRITE,
} from '@oriel/fuse';

/** Its answer holds an entry: the inode is not the header's. */
export const GIVES_ENTRY = 1;
/** After it a file may have another size or other content. */
export const CHANGES = 2;
/** Its answer tells the size of a file. */
export const TELLS_SIZE = 4;
/** Its answer says how an open file is to be cached. */
export const OPENS = 8;
/** Before it the host's file must hold what the guest stored. */
export const NEEDS_STORES = 16;
/** It fails when the host's file cannot hold what the guest stored. */
export const SYNCHRONISES = 32;
/** It may change another file than the header's, or its name. */
export const REACHES_OTHERS = 64;
/** It reads or changes content: a file is not grown while a helper thread is at it. */
export const HANDLES_CONTENT = 128;

/** Opcodes from here on mean nothing to a window. */
const OPCODES = 64;
const traits = new Uint8Array(OPCODES);
traits[FUSE_LOOKUP] = GIVES_ENTRY | TELLS_SIZE;
traits[FUSE_MKNOD] = GIVES_ENTRY | TELLS_SIZE;
traits[FUSE_LINK] = GIVES_ENTRY | TELLS_SIZE;
traits[FUSE_TMPFILE] = GIVES_ENTRY | TELLS_SIZE | OPENS;
// With O_TRUNC, on a name that is taken, it truncates any file.
traits[FUSE_CREATE] = GIVES_ENTRY | TELLS_SIZE | OPENS | CHANGES | REACHES_OTHERS | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_OPEN] = OPENS | CHANGES | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_GETATTR] = TELLS_SIZE;
traits[FUSE_STATX] = TELLS_SIZE;
traits[FUSE_SETATTR] = TELLS_SIZE | CHANGES | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_WRITE] = TELLS_SIZE | CHANGES | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_FALLOCATE] = TELLS_SIZE | CHANGES | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_COPY_FILE_RANGE] = TELLS_SIZE | CHANGES | REACHES_OTHERS | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_COPY_FILE_RANGE_64] = TELLS_SIZE | CHANGES | REACHES_OTHERS | NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_READ] = NEEDS_STORES | HANDLES_CONTENT;
traits[FUSE_RELEASE] = NEEDS_STORES;
traits[FUSE_FLUSH] = NEEDS_STORES | SYNCHRONISES;
traits[FUSE_FSYNC] = NEEDS_STORES | SYNCHRONISES;
traits[FUSE_SYNCFS] = REACHES_OTHERS | NEEDS_STORES | SYNCHRONISES;
// A file that is grown for a moment is found again by its path.
traits[FUSE_RENAME] = REACHES_OTHERS;
traits[FUSE_RENAME2] = REACHES_OTHERS;
traits[FUSE_UNLINK] = REACHES_OTHERS;

/** The traits of an opcode, or 0. */
export function traitsOf(opcode: number): number {
  return opcode < OPCODES ? traits[opcode]! : 0;
}
