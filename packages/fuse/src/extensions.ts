/** The extension block behind the strings of a creating request (fuse_ext_header, fuse_secctx_header). */
import { EINVAL, EOPNOTSUPP } from '@oriel/sys';
import { FUSE_EXT_GROUPS, FUSE_MAX_NR_SECCTX } from './constants.ts';
import { FuseExtHeader, FuseSecctx } from './layout.ts';
import { NAME_MAX } from './name.ts';
import type { OperationRecord } from './operation-record.ts';

const HEADER = FuseExtHeader.byteLength;
const SECCTX = FuseSecctx.byteLength;

/** A u32 at any byte: the block is not aligned to the message. */
function u32At(u8: Uint8Array, at: number): number {
  return (u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24)) >>> 0;
}

/**
 * Takes what the extensions of `op` say: at most one supplementary group, and one security context.
 * @param securityContexts - FUSE_SECURITY_CTX was agreed; if not, a security context that is not empty is refused
 * @returns 0, -EINVAL, -ENAMETOOLONG, or -EOPNOTSUPP
 */
export function takeExtensions(op: OperationRecord, securityContexts: boolean): number {
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
      const error = type === 0 ? 0 : securityContexts ? takeSecurity(op, at, size, type) : -EOPNOTSUPP;
      if (error !== 0) {
        return error;
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

/** One context: its header, the name, the label, padding to a multiple of 8. @param size - of the record at `at` */
function takeSecurity(op: OperationRecord, at: number, size: number, count: number): number {
  const start = at + HEADER;
  const end = at + size;
  if (count !== 1 || op.security !== null || end - start < SECCTX) {
    return -EINVAL;
  }
  const { label } = op;
  const len = u32At(op.u8, start);
  const value = label.name.takeText(op.u8, op.addr, start + SECCTX, end, NAME_MAX);
  if (value < 0) {
    return value;
  }
  if (len > end - value) {
    return -EINVAL;
  }
  label.value = op.addr + value;
  label.size = len;
  op.security = label;
  return 0;
}
