/** The extension block behind the strings of a creating request (fuse_ext_header, fuse_secctx_header). */
import { EINVAL, EOPNOTSUPP } from '@oriel/sys';
import { FUSE_EXT_GROUPS, FUSE_MAX_NR_SECCTX } from './constants.ts';
import { FuseExtHeader } from './layout.ts';
import type { OperationRecord } from './operation-record.ts';

const HEADER = FuseExtHeader.byteLength;

/** A u32 at any byte: the block is not aligned to the message. */
function u32At(u8: Uint8Array, at: number): number {
  return (u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24)) >>> 0;
}

/**
 * Takes what the extensions of `op` say: at most one supplementary group. An empty security context is skipped, a real one
 * refused, since FUSE_SECURITY_CTX is never agreed.
 * @returns 0, -EINVAL, or -EOPNOTSUPP
 */
export function takeExtensions(op: OperationRecord): number {
  const u8 = op.u8;
  let at = op.end;
  const end = at + op.extensions;
  let seenGroups = false;
  while (at < end) {
    // The block is a multiple of 8 and so is each record: a header always fits.
    const size = u32At(u8, at);
    const type = u32At(u8, at + 4);
    if (size < HEADER || size % 8 !== 0 || size > end - at) {
      return -EINVAL;
    }
    if (type <= FUSE_MAX_NR_SECCTX) {
      if (type !== 0) {
        return -EOPNOTSUPP;
      }
    } else if (type === FUSE_EXT_GROUPS && !seenGroups && size >= HEADER + 8) {
      seenGroups = true;
      const count = u32At(u8, at + HEADER);
      if (count !== 1) {
        return -EINVAL;
      }
      op.supplementaryGroup = u32At(u8, at + HEADER + 4);
    } else {
      return -EINVAL;
    }
    at += size;
  }
  return 0;
}
