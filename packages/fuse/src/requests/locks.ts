/** Requests on locks: GETLK, SETLK, SETLKW. */
import { EBADF, EINVAL, F_UNLCK } from '@oriel/sys';
import { FUSE_LK_FLOCK, FUSE_SETLKW } from '../constants.ts';
import { takeU64 } from '../fields.ts';
import { FuseFileLock, FuseLkIn } from '../layout.ts';
import { BODY_WORD, type OperationRecord } from '../operation-record.ts';
import { UNSERVED } from '../pending.ts';
import type { ServeContext } from '../serve-context.ts';

const OWNER = BODY_WORD + FuseLkIn.owner.offset / 4;
const LOCK = BODY_WORD + FuseLkIn.lk.offset / 4;
const FLAGS = BODY_WORD + FuseLkIn.lkFlags.offset / 4;
const START = LOCK + FuseFileLock.start.offset / 4;
const END = LOCK + FuseFileLock.end.offset / 4;
const TYPE = LOCK + FuseFileLock.type.offset / 4;
const PID = LOCK + FuseFileLock.pid.offset / 4;
/** Offsets in files are signed. */
const SIGN = 0x8000_0000;

/** Reads the lock of a request into `op.lock`. @returns its handle, or a negative errno */
function takeLock(op: OperationRecord): number {
  const { lock, u32: words } = op;
  const fh = takeU64(words, BODY_WORD);
  if (fh < 0) {
    return -EBADF;
  }
  lock.ownerLo = words[OWNER]!;
  lock.ownerHi = words[OWNER + 1]!;
  lock.startLo = words[START]!;
  lock.startHi = words[START + 1]!;
  lock.endLo = words[END]!;
  lock.endHi = words[END + 1]!;
  lock.type = words[TYPE]!;
  lock.pid = words[PID]!;
  lock.flock = (words[FLAGS]! & FUSE_LK_FLOCK) !== 0;
  const backwards = lock.endHi < lock.startHi || (lock.endHi === lock.startHi && lock.endLo < lock.startLo);
  const signed = lock.startHi >= SIGN || lock.endHi >= SIGN;
  return (words[FLAGS]! & ~FUSE_LK_FLOCK) !== 0 || lock.type > F_UNLCK || backwards || signed ? -EINVAL : fh;
}

export function getlk(context: ServeContext, op: OperationRecord): number {
  if (context.fs.getlk === undefined) {
    return UNSERVED;
  }
  const fh = takeLock(op);
  return fh < 0 ? fh : context.fs.getlk(op, op.nodeid, fh, op.lock);
}

export function setlk(context: ServeContext, op: OperationRecord): number {
  if (context.fs.setlk === undefined) {
    return UNSERVED;
  }
  const fh = takeLock(op);
  return fh < 0 ? fh : context.fs.setlk(op, op.nodeid, fh, op.lock, op.opcode === FUSE_SETLKW);
}
