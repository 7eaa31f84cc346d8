/** Requests on inodes, open files and attributes that fail. */
import * as C from '@oriel/fuse';
import * as S from '@oriel/sys';
import { ROOT } from './share.ts';
import { type Case, CWD, file, files, LONG, NO_FD, row, TEXT, TOO_FAR, text } from './two-sides.ts';

const NOWHERE = 'nonsense.x';
const XATTR_REPLACE = 2;

export const FILE_CASES: readonly Case[] = [
  row(
    'SETATTR: size of a directory',
    S.EISDIR,
    (r, g) => r.setattr(g.node('dir'), { size: 0 }),
    (h) => h.tryOpen('dir', S.O_WRONLY | S.O_TRUNC),
  ),
  row(
    'SETATTR: size beyond the largest',
    S.EFBIG,
    (r, g) => r.setattr(g.node('file'), { size: TOO_FAR }),
    (h) => file.ftruncate(h.open('file', S.O_RDWR), TOO_FAR),
  ),
  row(
    'SETATTR: size by a handle for reading',
    S.EINVAL,
    (r, g) => r.setattr(g.node('file'), { size: 1, fh: g.fh('file', S.O_RDONLY) }),
    (h) => file.ftruncate(h.open('file'), 1),
  ),
  row(
    'SETATTR: mode of a symbolic link',
    S.EOPNOTSUPP,
    (r, g) => r.setattr(g.node('link'), { mode: 0o600 }),
    (h) => file.fchmodat(CWD, text(`/proc/self/fd/${h.open('link', S.O_PATH | S.O_NOFOLLOW)}`), 0o600),
  ),
  row(
    'READ by a handle for writing',
    S.EBADF,
    (r, g) => r.read(ROOT, g.fh('file', S.O_WRONLY), 0, 16),
    (h) => h.io(h.open('file', S.O_WRONLY), 0, false),
  ),
  row(
    'READ by no handle',
    S.EBADF,
    (r) => r.read(ROOT, NO_FD, 0, 16),
    (h) => h.io(NO_FD, 0, false),
  ),
  row(
    'WRITE by a handle for reading',
    S.EBADF,
    (r, g) => [r.write(ROOT, g.fh('file', S.O_RDONLY), 0, 4), TEXT],
    (h) => h.io(h.open('file'), 0, true),
  ),
  row(
    'WRITE beyond the largest size',
    S.EFBIG,
    (r, g) => [r.write(ROOT, g.fh('file'), TOO_FAR, 4), TEXT],
    (h) => h.io(h.open('file', S.O_RDWR), TOO_FAR, true),
  ),
  row(
    'FLUSH of no handle',
    S.EBADF,
    (r) => r.flush(ROOT, NO_FD),
    () => files.close(NO_FD),
  ),
  row(
    'RELEASE of no handle',
    S.EBADF,
    (r) => r.release(ROOT, NO_FD),
    () => files.close(NO_FD),
  ),
  row(
    'FSYNC of no handle',
    S.EBADF,
    (r) => r.fsync(ROOT, NO_FD),
    () => file.fsync(NO_FD),
  ),
  row(
    'GETATTR of no handle',
    S.EBADF,
    (r) => r.getattr(ROOT, NO_FD),
    () => file.statx(NO_FD, text(''), S.AT_EMPTY_PATH, 0, Buffer.alloc(256)),
  ),
  row(
    'STATX of no handle',
    S.EBADF,
    (r) => r.statx(ROOT, NO_FD),
    () => file.statx(NO_FD, text(''), S.AT_EMPTY_PATH, 0, Buffer.alloc(256)),
  ),
  row(
    'SETXATTR that creates one that is there',
    S.EEXIST,
    (r, g) => r.setxattr(g.node('file'), 'user.old', TEXT, S.XATTR_CREATE),
    (h) => file.setxattr(h.at('file'), text('user.old'), TEXT, 4, S.XATTR_CREATE),
  ),
  row(
    'SETXATTR that replaces none',
    S.ENODATA,
    (r, g) => r.setxattr(g.node('file'), 'user.new', TEXT, XATTR_REPLACE),
    (h) => file.setxattr(h.at('file'), text('user.new'), TEXT, 4, XATTR_REPLACE),
  ),
  row(
    'SETXATTR of a FIFO',
    S.EPERM,
    (r, g) => r.setxattr(g.node('fifo'), 'user.new', TEXT),
    (h) => file.setxattr(h.at('fifo'), text('user.new'), TEXT, 4, 0),
  ),
  row(
    'SETXATTR of an unknown kind',
    S.EOPNOTSUPP,
    (r, g) => r.setxattr(g.node('file'), NOWHERE, TEXT),
    (h) => file.setxattr(h.at('file'), text(NOWHERE), TEXT, 4, 0),
  ),
  row(
    'SETXATTR of a name too long',
    S.ERANGE,
    (r, g) => r.setxattr(g.node('file'), `user.${LONG}`, TEXT),
    (h) => file.setxattr(h.at('file'), text(`user.${LONG}`), TEXT, 4, 0),
  ),
  row(
    'SETXATTR of a value too large',
    S.E2BIG,
    (r, g) => r.setxattr(g.node('file'), 'user.big', Buffer.alloc(65_537)),
    (h) => file.setxattr(h.at('file'), text('user.big'), Buffer.alloc(65_537), 65_537, 0),
  ),
  row(
    'GETXATTR of none',
    S.ENODATA,
    (r, g) => r.getxattr(g.node('file'), 'user.new', 99),
    (h) => file.getxattr(h.at('file'), text('user.new'), Buffer.alloc(99), 99),
  ),
  row(
    'GETXATTR with too little room',
    S.ERANGE,
    (r, g) => r.getxattr(g.node('file'), 'user.old', 3),
    (h) => file.getxattr(h.at('file'), text('user.old'), Buffer.alloc(3), 3),
  ),
  row(
    'GETXATTR of an unknown kind',
    S.EOPNOTSUPP,
    (r, g) => r.getxattr(g.node('file'), NOWHERE, 99),
    (h) => file.getxattr(h.at('file'), text(NOWHERE), Buffer.alloc(99), 99),
  ),
  row(
    'LISTXATTR with too little room',
    S.ERANGE,
    (r, g) => r.listxattr(g.node('file'), 3),
    (h) => file.listxattr(h.at('file'), Buffer.alloc(3), 3),
  ),
  row(
    'REMOVEXATTR of none',
    S.ENODATA,
    (r, g) => r.removexattr(g.node('file'), 'user.new'),
    (h) => file.removexattr(h.at('file'), text('user.new')),
  ),
  row(
    'REMOVEXATTR of an unknown kind',
    S.EOPNOTSUPP,
    (r, g) => r.removexattr(g.node('file'), NOWHERE),
    (h) => file.removexattr(h.at('file'), text(NOWHERE)),
  ),
  row(
    'FALLOCATE of nothing',
    S.EINVAL,
    (r, g) => r.fallocate(ROOT, g.fh('file'), 0, 0),
    (h) => file.fallocate(h.open('file', S.O_RDWR), 0, 0, 0),
  ),
  row(
    'FALLOCATE of a hole that cuts',
    S.EOPNOTSUPP,
    (r, g) => r.fallocate(ROOT, g.fh('file'), 0, 1, 2),
    (h) => file.fallocate(h.open('file', S.O_RDWR), 2, 0, 1),
  ),
  row(
    'FALLOCATE by a handle for reading',
    S.EBADF,
    (r, g) => r.fallocate(ROOT, g.fh('file', S.O_RDONLY), 0, 1),
    (h) => file.fallocate(h.open('file'), 0, 0, 1),
  ),
  row(
    'FALLOCATE beyond the largest size',
    S.EFBIG,
    (r, g) => r.fallocate(ROOT, g.fh('file'), TOO_FAR, 1),
    (h) => file.fallocate(h.open('file', S.O_RDWR), 0, TOO_FAR, 1),
  ),
  row(
    'LSEEK for data behind the end',
    S.ENXIO,
    (r, g) => r.lseek(ROOT, g.fh('file'), 1000, S.SEEK_DATA),
    (h) => file.lseek(h.open('file'), 1000, S.SEEK_DATA),
  ),
  row(
    'LSEEK for a hole behind the end',
    S.ENXIO,
    (r, g) => r.lseek(ROOT, g.fh('file'), 1000, S.SEEK_HOLE),
    (h) => file.lseek(h.open('file'), 1000, S.SEEK_HOLE),
  ),
  row(
    'COPY_FILE_RANGE onto itself',
    S.EINVAL,
    (r, g) => {
      const one = { nodeid: g.node('file'), fh: g.fh('file'), offset: 0 };
      return r.copyFileRange(one, one, 4);
    },
    (h) => {
      const fd = h.open('file', S.O_RDWR);
      return file.copyFileRange(fd, 0, fd, 0, 4);
    },
  ),
  row(
    'COPY_FILE_RANGE to a handle for reading',
    S.EBADF,
    (r, g) =>
      r.copyFileRange(
        { nodeid: ROOT, fh: g.fh('file'), offset: 0 },
        { nodeid: ROOT, fh: g.fh('other', S.O_RDONLY), offset: 0 },
        4,
        false,
      ),
    (h) => file.copyFileRange(h.open('file'), 0, h.open('other'), 0, 4),
  ),
  row(
    'SETLK of no handle',
    S.EBADF,
    (r) => r.lock(C.FUSE_SETLK, ROOT, NO_FD, 1, S.F_WRLCK),
    () => file.fcntlLock(NO_FD, S.F_OFD_SETLK, Buffer.alloc(32)),
  ),
  row(
    'SETLK by flock of no handle',
    S.EBADF,
    (r) => r.lock(C.FUSE_SETLK, ROOT, NO_FD, 1, S.F_WRLCK, [0], C.FUSE_LK_FLOCK),
    () => file.flock(NO_FD, S.LOCK_EX),
  ),
  row(
    'IOCTL that a file does not know',
    S.ENOTTY,
    (r, g) => r.ioctl(ROOT, g.fh('file'), 0x5401, new Uint8Array(0), 60),
    (h) => file.ioctl(h.open('file'), 0x5401, Buffer.alloc(60)),
  ),
];
