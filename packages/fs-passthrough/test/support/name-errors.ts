/** Requests on names and directories that fail. */
import * as S from '@oriel/sys';
import { ROOT } from './share.ts';
import { type Case, CWD, file, files, type Host, LONG, NO_FD, row, text } from './two-sides.ts';

const EMPTY = S.AT_SYMLINK_NOFOLLOW;
const statx = (h: Host, ...names: string[]): number =>
  file.statx(CWD, h.at(...names), EMPTY, S.STATX_BASIC_STATS, Buffer.alloc(256));
const rename = (h: Host, from: string, to: string, flags = 0): number =>
  file.renameat2(CWD, h.at(from), CWD, h.at(to), flags);
const link = (h: Host, from: string, to: string): number => file.linkat(CWD, h.at(from), CWD, h.at(to), 0);

export const NAME_CASES: readonly Case[] = [
  row(
    'LOOKUP of nothing',
    S.ENOENT,
    (r) => r.lookup(ROOT, 'nothing'),
    (h) => statx(h, 'nothing'),
  ),
  row(
    'LOOKUP in a file',
    S.ENOTDIR,
    (r, g) => r.lookup(g.node('file'), 'x'),
    (h) => statx(h, 'file', 'x'),
  ),
  row(
    'LOOKUP of a name too long',
    S.ENAMETOOLONG,
    (r) => r.lookup(ROOT, LONG),
    (h) => statx(h, LONG),
  ),
  row(
    'READLINK of a file',
    S.EINVAL,
    (r, g) => r.readlink(g.node('file')),
    (h) => file.readlinkat(CWD, h.at('file'), Buffer.alloc(99), 99),
  ),
  row(
    'SYMLINK of a name that is taken',
    S.EEXIST,
    (r) => r.symlink(ROOT, 'file', 'x'),
    (h) => file.symlinkat(text('x'), CWD, h.at('file')),
  ),
  row(
    'SYMLINK in a file',
    S.ENOTDIR,
    (r, g) => r.symlink(g.node('file'), 'x', 'x'),
    (h) => file.symlinkat(text('x'), CWD, h.at('file', 'x')),
  ),
  row(
    'SYMLINK of a name too long',
    S.ENAMETOOLONG,
    (r) => r.symlink(ROOT, LONG, 'x'),
    (h) => file.symlinkat(text('x'), CWD, h.at(LONG)),
  ),
  row(
    'MKNOD of a name that is taken',
    S.EEXIST,
    (r) => r.mknod(ROOT, 'link', S.S_IFREG),
    (h) => file.mknodat(CWD, h.at('link'), S.S_IFREG, 0),
  ),
  row(
    'MKNOD in a file',
    S.ENOTDIR,
    (r, g) => r.mknod(g.node('file'), 'x', S.S_IFIFO),
    (h) => file.mknodat(CWD, h.at('file', 'x'), S.S_IFIFO, 0),
  ),
  row(
    'MKNOD of a directory',
    S.EPERM,
    (r) => r.mknod(ROOT, 'x', S.S_IFDIR),
    (h) => file.mknodat(CWD, h.at('x'), S.S_IFDIR, 0),
  ),
  row(
    'MKNOD of a symbolic link',
    S.EINVAL,
    (r) => r.mknod(ROOT, 'x', S.S_IFLNK),
    (h) => file.mknodat(CWD, h.at('x'), S.S_IFLNK, 0),
  ),
  row(
    'MKDIR of a name that is taken',
    S.EEXIST,
    (r) => r.mkdir(ROOT, 'file', 0o755),
    (h) => file.mkdirat(CWD, h.at('file'), 0o755),
  ),
  row(
    'MKDIR in a file',
    S.ENOTDIR,
    (r, g) => r.mkdir(g.node('file'), 'x', 0o755),
    (h) => file.mkdirat(CWD, h.at('file', 'x'), 0o755),
  ),
  row(
    'MKDIR of a name too long',
    S.ENAMETOOLONG,
    (r) => r.mkdir(ROOT, LONG, 0o755),
    (h) => file.mkdirat(CWD, h.at(LONG), 0o755),
  ),
  row(
    'UNLINK of nothing',
    S.ENOENT,
    (r) => r.unlink(ROOT, 'nothing'),
    (h) => file.unlinkat(CWD, h.at('nothing'), 0),
  ),
  row(
    'UNLINK of a directory',
    S.EISDIR,
    (r) => r.unlink(ROOT, 'dir'),
    (h) => file.unlinkat(CWD, h.at('dir'), 0),
  ),
  row(
    'UNLINK in a file',
    S.ENOTDIR,
    (r, g) => r.unlink(g.node('file'), 'x'),
    (h) => file.unlinkat(CWD, h.at('file', 'x'), 0),
  ),
  row(
    'RMDIR of nothing',
    S.ENOENT,
    (r) => r.rmdir(ROOT, 'nothing'),
    (h) => file.unlinkat(CWD, h.at('nothing'), S.AT_REMOVEDIR),
  ),
  row(
    'RMDIR of a file',
    S.ENOTDIR,
    (r) => r.rmdir(ROOT, 'file'),
    (h) => file.unlinkat(CWD, h.at('file'), S.AT_REMOVEDIR),
  ),
  row(
    'RMDIR of a full directory',
    S.ENOTEMPTY,
    (r) => r.rmdir(ROOT, 'full'),
    (h) => file.unlinkat(CWD, h.at('full'), S.AT_REMOVEDIR),
  ),
  row(
    'RENAME of nothing',
    S.ENOENT,
    (r) => r.rename(ROOT, 'nothing', ROOT, 'x'),
    (h) => rename(h, 'nothing', 'x'),
  ),
  row(
    'RENAME of a directory over a file',
    S.ENOTDIR,
    (r) => r.rename(ROOT, 'dir', ROOT, 'file'),
    (h) => rename(h, 'dir', 'file'),
  ),
  row(
    'RENAME of a file over a directory',
    S.EISDIR,
    (r) => r.rename(ROOT, 'file', ROOT, 'dir'),
    (h) => rename(h, 'file', 'dir'),
  ),
  row(
    'RENAME over a full directory',
    S.ENOTEMPTY,
    (r) => r.rename(ROOT, 'dir', ROOT, 'full'),
    (h) => rename(h, 'dir', 'full'),
  ),
  row(
    'RENAME of a directory into itself',
    S.EINVAL,
    (r, g) => r.rename(ROOT, 'dir', g.node('dir'), 'x'),
    (h) => rename(h, 'dir', 'dir/x'),
  ),
  row(
    'RENAME into a file',
    S.ENOTDIR,
    (r, g) => r.rename(ROOT, 'dir', g.node('file'), 'x'),
    (h) => rename(h, 'dir', 'file/x'),
  ),
  row(
    'RENAME2 that must not replace',
    S.EEXIST,
    (r) => r.rename2(ROOT, 'file', ROOT, 'other', S.RENAME_NOREPLACE),
    (h) => rename(h, 'file', 'other', S.RENAME_NOREPLACE),
  ),
  row(
    'RENAME2 that exchanges with nothing',
    S.ENOENT,
    (r) => r.rename2(ROOT, 'file', ROOT, 'x', S.RENAME_EXCHANGE),
    (h) => rename(h, 'file', 'x', S.RENAME_EXCHANGE),
  ),
  row(
    'RENAME2 that is told two things',
    S.EINVAL,
    (r) => r.rename2(ROOT, 'file', ROOT, 'x', 3),
    (h) => rename(h, 'file', 'x', 3),
  ),
  row(
    'RENAME2 of flags that are none',
    S.EINVAL,
    (r) => r.rename2(ROOT, 'file', ROOT, 'x', 8),
    (h) => rename(h, 'file', 'x', 8),
  ),
  row(
    'LINK to a name that is taken',
    S.EEXIST,
    (r, g) => r.link(g.node('file'), ROOT, 'other'),
    (h) => link(h, 'file', 'other'),
  ),
  row(
    'LINK of a directory',
    S.EPERM,
    (r, g) => r.link(g.node('dir'), ROOT, 'x'),
    (h) => link(h, 'dir', 'x'),
  ),
  row(
    'LINK in a file',
    S.ENOTDIR,
    (r, g) => r.link(g.node('file'), g.node('other'), 'x'),
    (h) => link(h, 'file', 'other/x'),
  ),
  row(
    'OPEN of a directory to write',
    S.EISDIR,
    (r, g) => r.open(g.node('dir'), S.O_RDWR),
    (h) => h.tryOpen('dir', S.O_RDWR),
  ),
  row(
    'OPEN of a symbolic link',
    S.ELOOP,
    (r, g) => r.open(g.node('link'), S.O_RDONLY),
    (h) => h.tryOpen('link', S.O_RDONLY | S.O_NOFOLLOW),
  ),
  row(
    'OPENDIR of a file',
    S.ENOTDIR,
    (r, g) => r.opendir(g.node('file')),
    (h) => h.tryOpen('file', S.O_DIRECTORY),
  ),
  row(
    'CREATE that must be new',
    S.EEXIST,
    (r) => r.create(ROOT, 'file', S.O_RDWR | S.O_EXCL, 0o600),
    (h) => h.tryOpen('file', S.O_RDWR | S.O_CREAT | S.O_EXCL),
  ),
  row(
    'CREATE of a directory',
    S.EISDIR,
    (r) => r.create(ROOT, 'dir', S.O_RDWR, 0o600),
    (h) => h.tryOpen('dir', S.O_RDWR | S.O_CREAT),
  ),
  row(
    'CREATE of a symbolic link',
    S.ELOOP,
    (r) => r.create(ROOT, 'link', S.O_RDWR, 0o600),
    (h) => h.tryOpen('link', S.O_RDWR | S.O_CREAT | S.O_NOFOLLOW),
  ),
  row(
    'CREATE in a file',
    S.ENOTDIR,
    (r, g) => r.create(g.node('file'), 'x', S.O_RDWR, 0o600),
    (h) => h.tryOpen('file/x', S.O_RDWR | S.O_CREAT),
  ),
  row(
    'CREATE of a name too long',
    S.ENAMETOOLONG,
    (r) => r.create(ROOT, LONG, S.O_RDWR, 0o600),
    (h) => h.tryOpen(LONG, S.O_RDWR | S.O_CREAT),
  ),
  row(
    'TMPFILE in a file',
    S.ENOTDIR,
    (r, g) => r.tmpfile(g.node('file'), S.O_RDWR, 0o600),
    (h) => h.tryOpen('file', S.O_RDWR | S.O_TMPFILE),
  ),
  row(
    'TMPFILE to read',
    S.EINVAL,
    (r) => r.tmpfile(ROOT, S.O_RDONLY, 0o600),
    (h) => h.tryOpen('.', S.O_RDONLY | S.O_TMPFILE),
  ),
  row(
    'RELEASEDIR of no handle',
    S.EBADF,
    (r) => r.releasedir(ROOT, NO_FD),
    () => files.close(NO_FD),
  ),
  row(
    'FSYNCDIR of no handle',
    S.EBADF,
    (r) => r.fsyncdir(ROOT, NO_FD),
    () => file.fsync(NO_FD),
  ),
  row(
    'READDIR with too little room',
    S.EINVAL,
    (r, g) => r.readdir(g.node('full'), g.dirFh('full'), 0, 0, 16),
    (h) => file.getdents64(h.open('full'), Buffer.alloc(16), 16),
  ),
  row(
    'READDIR by no handle',
    S.EBADF,
    (r) => r.readdir(ROOT, NO_FD, 0, 0, 4096),
    () => file.getdents64(NO_FD, Buffer.alloc(4096), 4096),
  ),
  row(
    'READDIRPLUS by no handle',
    S.EBADF,
    (r) => r.readdirplus(ROOT, NO_FD, 0, 0, 4096),
    () => file.getdents64(NO_FD, Buffer.alloc(4096), 4096),
  ),
];
