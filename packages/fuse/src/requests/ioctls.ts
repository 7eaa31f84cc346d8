/** IOCTL. Linux sends only those that it knows the size of: FUSE_IOCTL_UNRESTRICTED is never set over virtio. */
import { EBADF, EINVAL, EIO, ENOTTY } from '@oriel/sys';
import { FUSE_IOCTL_COMPAT, FUSE_IOCTL_COMPAT_X32, FUSE_IOCTL_UNRESTRICTED } from '../constants.ts';
import { takeU64 } from '../fields.ts';
import { FuseIoctlIn, FuseIoctlOut } from '../layout.ts';
import { BODY_WORD, type OperationRecord } from '../operation-record.ts';
import { UNSERVED } from '../pending.ts';
import { OUT_HEADER } from '../protocol.ts';
import type { ServeContext } from '../serve-context.ts';

const FLAGS = BODY_WORD + FuseIoctlIn.flags.offset / 4;
const CMD = BODY_WORD + FuseIoctlIn.cmd.offset / 4;
const IN_SIZE = BODY_WORD + FuseIoctlIn.inSize.offset / 4;
const OUT_SIZE = BODY_WORD + FuseIoctlIn.outSize.offset / 4;
const INPUT = BODY_WORD * 4 + FuseIoctlIn.byteLength;
const OUT = FuseIoctlOut.byteLength;
/** Structures of other widths mean nothing here, nor do arguments that point into the caller's memory. */
const OTHER_FORMS = FUSE_IOCTL_COMPAT | FUSE_IOCTL_UNRESTRICTED | FUSE_IOCTL_COMPAT_X32;
/** What an ioctl's number can say of its size, and twice as much: that of FS_IOC_MEASURE_VERITY is its caller's. */
const OUT_MAX = 32768;

/** The answer is put behind the request: `fuse_ioctl_out`, all zeros, then the Filesystem's bytes. */
export function ioctl(context: ServeContext, op: OperationRecord): number {
  if (context.fs.ioctl === undefined) {
    return UNSERVED;
  }
  const words = op.u32;
  const fh = takeU64(words, BODY_WORD);
  const cmd = words[CMD]!;
  const inSize = words[IN_SIZE]!;
  const outSize = words[OUT_SIZE]!;
  if (fh < 0) {
    return -EBADF;
  }
  if ((words[FLAGS]! & OTHER_FORMS) !== 0) {
    return -ENOTTY;
  }
  if (inSize !== op.end - INPUT || outSize > OUT_MAX) {
    return -EINVAL;
  }
  if (outSize > op.message!.writeBytes - OUT_HEADER - OUT) {
    return -EIO;
  }
  const at = (op.end + 7) & ~7;
  const error = op.reserve(at + OUT + outSize);
  if (error < 0) {
    return error;
  }
  op.dataAt = at;
  op.u8.fill(0, at, at + OUT + outSize);
  return context.fs.ioctl(op, op.nodeid, fh, cmd, op.addr + INPUT, inSize, op.addr + at + OUT, outSize);
}
