/** The opcodes that a session serves, as one table: argument bytes, what follows them, and the shape of the reply. */
import * as C from './constants.ts';
import * as L from './layout.ts';

/** Bytes of `fuse_in_header` and `fuse_out_header`. */
export const IN_HEADER = L.FuseInHeader.byteLength;
export const OUT_HEADER = L.FuseOutHeader.byteLength;

// Shapes of replies
/** Not served: ENOSYS. */
export const REPLY_UNKNOWN = 0;
/** No reply at all, not even a header. */
export const REPLY_SILENT = 1;
export const REPLY_HEADER = 2;
export const REPLY_ENTRY = 3;
export const REPLY_ATTR = 4;
export const REPLY_OPEN = 5;
/** entry, then open. */
export const REPLY_CREATE = 6;
/** A count as u32, and padding. */
export const REPLY_COUNT = 7;
/** A count as u64. */
export const REPLY_COUNT64 = 8;
export const REPLY_STATFS = 9;
/** `op.offset` as u64. */
export const REPLY_OFFSET = 10;
/** Data that the Filesystem put into the message itself. */
export const REPLY_IN_PLACE = 11;
/** Data in the operation's memory. */
export const REPLY_DATA = 12;
/** Directory records. */
export const REPLY_RECORDS = 13;
export const REPLY_INIT = 14;
/** `op.lock` as a lock. */
export const REPLY_LOCK = 15;
/** Attributes and `op.statx`. */
export const REPLY_STATX = 16;
/** `fuse_ioctl_out`, and data behind it, in the operation's memory. */
export const REPLY_IOCTL = 17;

/** Bytes behind the header that each shape needs at least. */
export const REPLY_BYTES = new Uint32Array(18);
REPLY_BYTES[REPLY_ENTRY] = L.FuseEntryOut.byteLength;
REPLY_BYTES[REPLY_ATTR] = L.FuseAttrOut.byteLength;
REPLY_BYTES[REPLY_OPEN] = L.FuseOpenOut.byteLength;
REPLY_BYTES[REPLY_CREATE] = L.FuseEntryOut.byteLength + L.FuseOpenOut.byteLength;
REPLY_BYTES[REPLY_COUNT] = L.FuseWriteOut.byteLength;
REPLY_BYTES[REPLY_COUNT64] = L.FuseCopyFileRangeOut.byteLength;
REPLY_BYTES[REPLY_STATFS] = L.FuseKstatfs.byteLength;
REPLY_BYTES[REPLY_OFFSET] = L.FuseLseekOut.byteLength;
REPLY_BYTES[REPLY_LOCK] = L.FuseLkOut.byteLength;
REPLY_BYTES[REPLY_STATX] = L.FuseStatxOut.byteLength;
REPLY_BYTES[REPLY_IOCTL] = L.FuseIoctlOut.byteLength;
REPLY_BYTES[REPLY_INIT] = L.FuseInitOut.byteLength;

// What a request may have behind its arguments
/** Strings, an array or data follow the arguments. */
const TAIL = 1;
/** Extensions may follow the strings. */
const EXTENSIONS = 2;
/** The Filesystem gets it, so that a hook may hold it. */
const HOLD = 4;

type Row = readonly [opcode: number, name: string, argBytes: number, reply: number, traits: number];

const ROWS: readonly Row[] = [
  [C.FUSE_LOOKUP, 'LOOKUP', 0, REPLY_ENTRY, TAIL | HOLD],
  [C.FUSE_FORGET, 'FORGET', L.FuseForgetIn.byteLength, REPLY_SILENT, 0],
  [C.FUSE_GETATTR, 'GETATTR', L.FuseGetattrIn.byteLength, REPLY_ATTR, HOLD],
  [C.FUSE_SETATTR, 'SETATTR', L.FuseSetattrIn.byteLength, REPLY_ATTR, HOLD],
  [C.FUSE_READLINK, 'READLINK', 0, REPLY_DATA, HOLD],
  [C.FUSE_SYMLINK, 'SYMLINK', 0, REPLY_ENTRY, TAIL | EXTENSIONS | HOLD],
  [C.FUSE_MKNOD, 'MKNOD', L.FuseMknodIn.byteLength, REPLY_ENTRY, TAIL | EXTENSIONS | HOLD],
  [C.FUSE_MKDIR, 'MKDIR', L.FuseMkdirIn.byteLength, REPLY_ENTRY, TAIL | EXTENSIONS | HOLD],
  [C.FUSE_UNLINK, 'UNLINK', 0, REPLY_HEADER, TAIL | HOLD],
  [C.FUSE_RMDIR, 'RMDIR', 0, REPLY_HEADER, TAIL | HOLD],
  [C.FUSE_RENAME, 'RENAME', L.FuseRenameIn.byteLength, REPLY_HEADER, TAIL | HOLD],
  [C.FUSE_LINK, 'LINK', L.FuseLinkIn.byteLength, REPLY_ENTRY, TAIL | HOLD],
  [C.FUSE_OPEN, 'OPEN', L.FuseOpenIn.byteLength, REPLY_OPEN, HOLD],
  [C.FUSE_READ, 'READ', L.FuseReadIn.byteLength, REPLY_IN_PLACE, HOLD],
  [C.FUSE_WRITE, 'WRITE', L.FuseWriteIn.byteLength, REPLY_COUNT, TAIL | HOLD],
  [C.FUSE_STATFS, 'STATFS', 0, REPLY_STATFS, HOLD],
  [C.FUSE_RELEASE, 'RELEASE', L.FuseReleaseIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_FSYNC, 'FSYNC', L.FuseFsyncIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_SETXATTR, 'SETXATTR', L.FUSE_COMPAT_SETXATTR_IN_SIZE, REPLY_HEADER, TAIL | HOLD],
  [C.FUSE_GETXATTR, 'GETXATTR', L.FuseGetxattrIn.byteLength, REPLY_DATA, TAIL | HOLD],
  [C.FUSE_LISTXATTR, 'LISTXATTR', L.FuseGetxattrIn.byteLength, REPLY_DATA, HOLD],
  [C.FUSE_REMOVEXATTR, 'REMOVEXATTR', 0, REPLY_HEADER, TAIL | HOLD],
  [C.FUSE_FLUSH, 'FLUSH', L.FuseFlushIn.byteLength, REPLY_HEADER, HOLD],
  // Old drivers end INIT before flags2.
  [C.FUSE_INIT, 'INIT', L.FuseInitIn.flags2.offset, REPLY_INIT, TAIL],
  [C.FUSE_OPENDIR, 'OPENDIR', L.FuseOpenIn.byteLength, REPLY_OPEN, HOLD],
  [C.FUSE_READDIR, 'READDIR', L.FuseReadIn.byteLength, REPLY_RECORDS, HOLD],
  [C.FUSE_RELEASEDIR, 'RELEASEDIR', L.FuseReleaseIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_FSYNCDIR, 'FSYNCDIR', L.FuseFsyncIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_GETLK, 'GETLK', L.FuseLkIn.byteLength, REPLY_LOCK, HOLD],
  [C.FUSE_SETLK, 'SETLK', L.FuseLkIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_SETLKW, 'SETLKW', L.FuseLkIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_CREATE, 'CREATE', L.FuseCreateIn.byteLength, REPLY_CREATE, TAIL | EXTENSIONS | HOLD],
  [C.FUSE_INTERRUPT, 'INTERRUPT', L.FuseInterruptIn.byteLength, REPLY_SILENT, 0],
  [C.FUSE_DESTROY, 'DESTROY', 0, REPLY_HEADER, 0],
  [C.FUSE_IOCTL, 'IOCTL', L.FuseIoctlIn.byteLength, REPLY_IOCTL, TAIL | HOLD],
  [C.FUSE_BATCH_FORGET, 'BATCH_FORGET', L.FuseBatchForgetIn.byteLength, REPLY_SILENT, TAIL],
  [C.FUSE_FALLOCATE, 'FALLOCATE', L.FuseFallocateIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_READDIRPLUS, 'READDIRPLUS', L.FuseReadIn.byteLength, REPLY_RECORDS, HOLD],
  [C.FUSE_RENAME2, 'RENAME2', L.FuseRename2In.byteLength, REPLY_HEADER, TAIL | HOLD],
  [C.FUSE_LSEEK, 'LSEEK', L.FuseLseekIn.byteLength, REPLY_OFFSET, HOLD],
  [C.FUSE_COPY_FILE_RANGE, 'COPY_FILE_RANGE', L.FuseCopyFileRangeIn.byteLength, REPLY_COUNT, HOLD],
  [C.FUSE_SETUPMAPPING, 'SETUPMAPPING', L.FuseSetupmappingIn.byteLength, REPLY_HEADER, 0],
  [C.FUSE_REMOVEMAPPING, 'REMOVEMAPPING', L.FuseRemovemappingIn.byteLength, REPLY_HEADER, TAIL],
  [C.FUSE_SYNCFS, 'SYNCFS', L.FuseSyncfsIn.byteLength, REPLY_HEADER, HOLD],
  [C.FUSE_TMPFILE, 'TMPFILE', L.FuseCreateIn.byteLength, REPLY_CREATE, TAIL | EXTENSIONS | HOLD],
  [C.FUSE_STATX, 'STATX', L.FuseStatxIn.byteLength, REPLY_STATX, HOLD],
  [C.FUSE_COPY_FILE_RANGE_64, 'COPY_FILE_RANGE_64', L.FuseCopyFileRangeIn.byteLength, REPLY_COUNT64, HOLD],
];

/** Opcodes from here on have no row. */
const OPCODES = 64;
const argBytes = new Uint8Array(OPCODES);
const reply = new Uint8Array(OPCODES);
const traits = new Uint8Array(OPCODES);
const names: (string | undefined)[] = new Array(OPCODES).fill(undefined);
for (const [opcode, name, args, shape, trait] of ROWS) {
  argBytes[opcode] = args;
  reply[opcode] = shape;
  traits[opcode] = trait;
  names[opcode] = name;
}

/** The shape of an opcode's reply: REPLY_*. */
export function replyOf(opcode: number): number {
  return opcode < OPCODES ? reply[opcode]! : REPLY_UNKNOWN;
}

/** True when `body` bytes behind the header (of them `extensions` in extensions) can be a request of a served opcode. */
export function lengthFits(opcode: number, body: number, extensions: number): boolean {
  const least = argBytes[opcode]!;
  const trait = traits[opcode]!;
  if (body !== least && ((trait & TAIL) === 0 || body < least)) {
    return false;
  }
  return extensions === 0 || ((trait & EXTENSIONS) !== 0 && extensions <= body - least);
}

/** True when the Filesystem executes a served opcode on an inode. */
export function mayHold(opcode: number): boolean {
  return (traits[opcode]! & HOLD) !== 0;
}

/** True when a request is entered in the journal: all but those that a session or the window itself executes. */
export function mayRecord(opcode: number): boolean {
  return (traits[opcode]! & HOLD) !== 0 || reply[opcode] === REPLY_SILENT;
}

/** The name of an opcode without FUSE_, for logs and metrics; its number when it is not served. */
export function opcodeName(opcode: number): string {
  return names[opcode] ?? String(opcode);
}
