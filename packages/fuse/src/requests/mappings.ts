/** SETUPMAPPING and REMOVEMAPPING: fields checked here, the window behind the hooks. */
import { EINVAL } from '@oriel/sys';
import { FUSE_SETUPMAPPING_FLAG_READ, FUSE_SETUPMAPPING_FLAG_WRITE } from '../constants.ts';
import { sumOverflows, takeU64 } from '../fields.ts';
import { FuseRemovemappingIn, FuseRemovemappingOne } from '../layout.ts';
import { BODY_WORD, type OperationRecord, REQUEST } from '../operation-record.ts';
import { UNSERVED } from '../pending.ts';
import { IN_HEADER } from '../protocol.ts';
import { MAX_REMOVALS, type ServeContext } from '../serve-context.ts';

const ALL_FLAGS = FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE;

/** Linux always sends fh 2^64-1: the file is named by its nodeid, and fh is not looked at. */
export function setupMapping(context: ServeContext, op: OperationRecord): number {
  if (context.hooks.setupMapping === undefined) {
    return UNSERVED;
  }
  const words = op.u32;
  const foffset = takeU64(words, BODY_WORD + 2);
  const len = takeU64(words, BODY_WORD + 4);
  const flags = takeU64(words, BODY_WORD + 6);
  const moffset = takeU64(words, BODY_WORD + 8);
  if (foffset < 0 || moffset < 0 || len <= 0 || flags < 0 || flags > ALL_FLAGS) {
    return -EINVAL;
  }
  if (sumOverflows(foffset, len) || sumOverflows(moffset, len)) {
    return -EINVAL;
  }
  op.offset = foffset;
  op.size = len;
  return context.hooks.setupMapping(op, op.nodeid, foffset, len, flags, moffset);
}

/** The array follows `count` without padding: it starts at byte 44 of the message. */
export function removeMapping(context: ServeContext, op: OperationRecord): number {
  if (context.hooks.removeMapping === undefined) {
    return UNSERVED;
  }
  const words = op.u32;
  const count = words[BODY_WORD]!;
  const step = FuseRemovemappingOne.byteLength;
  if (count > MAX_REMOVALS || count * step !== op.end - REQUEST - IN_HEADER - FuseRemovemappingIn.byteLength) {
    return -EINVAL;
  }
  const { moffsets, lens } = context;
  let at = BODY_WORD + FuseRemovemappingIn.byteLength / 4;
  for (let index = 0; index < count; index++) {
    const moffset = takeU64(words, at);
    const len = takeU64(words, at + 2);
    if (moffset < 0 || len < 0 || sumOverflows(moffset, len)) {
      return -EINVAL;
    }
    moffsets[index] = moffset;
    lens[index] = len;
    at += step / 4;
  }
  return context.hooks.removeMapping(op, op.nodeid, count, moffsets, lens);
}
