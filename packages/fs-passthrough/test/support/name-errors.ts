/** Requests on names and directories that fail. */
import * as S from '@oriel/sys';
import { ROOT } from './share.ts';
import { type Case, CWD, file, files, type Guest, type Host, LONG, NO_FD, row, text } from './two-sides.ts';

/** A path as the driver knows it, which is `a` or `a/b`: the directory's node and the name in it. */
const place = (g: Guest, path: string): [number, string] => {
  const [first, second] = path.split('/');
  return second === undefined ? [ROOT, path] : [g.node(first!), second];
};
const statx = (h: Host, path: string): number =>
  file.statx(CWD, h.at(path), S.AT_SYMLINK_NOFOLLOW, S.STATX_BASIC_STATS, Buffer.alloc(256));
const rename = (h: Host, from: string, to: string, flags = 0): number =>
  file.renameat2(CWD, h.at(from), CWD, h.at(to), flags);

const lookup = (what: string, error: number, path: string): Case =>
  row(
    `LOOKUP ${what}`,
    error,
    (r, g) => r.lookup(...place(g, path)),
    (h) => statx(h, path),
  );
const symlink = (what: string, error: number, path: string): Case =>
  row(
    `SYMLINK ${what}`,
    error,
    (r, g) => r.symlink(...place(g, path), 'x'),
    (h) => file.symlinkat(text('x'), CWD, h.at(path)),
  );
const mknod = (what: string, error: number, path: string, mode: number): Case =>
  row(
    `MKNOD ${what}`,
    error,
    (r, g) => r.mknod(...place(g, path), mode),
    (h) => file.mknodat(CWD, h.at(path), mode, 0),
  );
const mkdir = (what: string, error: number, path: string): Case =>
  row(
    `MKDIR ${what}`,
    error,
    (r, g) => r.mkdir(...place(g, path), 0o755),
    (h) => file.mkdirat(CWD, h.at(path), 0o755),
  );
const unlink = (what: string, error: number, path: string): Case =>
  row(
    `UNLINK ${what}`,
    error,
    (r, g) => r.unlink(...place(g, path)),
    (h) => file.unlinkat(CWD, h.at(path), 0),
  );
const rmdir = (what: string, error: number, path: string): Case =>
  row(
    `RMDIR ${what}`,
    error,
    (r, g) => r.rmdir(...place(g, path)),
    (h) => file.unlinkat(CWD, h.at(path), S.AT_REMOVEDIR),
  );
const renamed = (what: string, error: number, from: string, to: string): Case =>
  row(
    `RENAME ${what}`,
    error,
    (r, g) => r.rename(ROOT, from, ...place(g, to)),
    (h) => rename(h, from, to),
  );
const renamed2 = (what: string, error: number, to: string, flags: number): Case =>
  row(
    `RENAME2 ${what}`,
    error,
    (r) => r.rename2(ROOT, 'file', ROOT, to, flags),
    (h) => rename(h, 'file', to, flags),
  );
const link = (what: string, error: number, of: string, to: string): Case =>
  row(
    `LINK ${what}`,
    error,
    (r, g) => r.link(g.node(of), ...place(g, to)),
    (h) => file.linkat(CWD, h.at(of), CWD, h.at(to), 0),
  );
/** The host is not to follow links: the guest's kernel does that itself. */
const create = (what: string, error: number, path: string, flags = 0): Case =>
  row(
    `CREATE ${what}`,
    error,
    (r, g) => r.create(...place(g, path), S.O_RDWR | flags, 0o600),
    (h) => h.tryOpen(path, S.O_RDWR | S.O_CREAT | S.O_NOFOLLOW | flags),
  );
const readsNone = (request: 'readdir' | 'readdirplus'): Case =>
  row(
    `${request.toUpperCase()} by no handle`,
    S.EBADF,
    (r) => r[request](ROOT, NO_FD, 0, 0, 4096),
    () => file.getdents64(NO_FD, Buffer.alloc(4096), 4096),
  );

export const NAME_CASES: readonly Case[] = [
  lookup('of nothing', S.ENOENT, 'nothing'),
  lookup('in a file', S.ENOTDIR, 'file/x'),
  lookup('of a name too long', S.ENAMETOOLONG, LONG),
  row(
    'READLINK of a file',
    S.EINVAL,
    (r, g) => r.readlink(g.node('file')),
    (h) => file.readlinkat(CWD, h.at('file'), Buffer.alloc(99), 99),
  ),
  symlink('of a name that is taken', S.EEXIST, 'file'),
  symlink('in a file', S.ENOTDIR, 'file/x'),
  symlink('of a name too long', S.ENAMETOOLONG, LONG),
  mknod('of a name that is taken', S.EEXIST, 'link', S.S_IFREG),
  mknod('in a file', S.ENOTDIR, 'file/x', S.S_IFIFO),
  mknod('of a directory', S.EPERM, 'x', S.S_IFDIR),
  mknod('of a symbolic link', S.EINVAL, 'x', S.S_IFLNK),
  mkdir('of a name that is taken', S.EEXIST, 'file'),
  mkdir('in a file', S.ENOTDIR, 'file/x'),
  mkdir('of a name too long', S.ENAMETOOLONG, LONG),
  unlink('of nothing', S.ENOENT, 'nothing'),
  unlink('of a directory', S.EISDIR, 'dir'),
  unlink('in a file', S.ENOTDIR, 'file/x'),
  rmdir('of nothing', S.ENOENT, 'nothing'),
  rmdir('of a file', S.ENOTDIR, 'file'),
  rmdir('of a full directory', S.ENOTEMPTY, 'full'),
  renamed('of nothing', S.ENOENT, 'nothing', 'x'),
  renamed('of a directory over a file', S.ENOTDIR, 'dir', 'file'),
  renamed('of a file over a directory', S.EISDIR, 'file', 'dir'),
  renamed('over a full directory', S.ENOTEMPTY, 'dir', 'full'),
  renamed('of a directory into itself', S.EINVAL, 'dir', 'dir/x'),
  renamed('into a file', S.ENOTDIR, 'dir', 'file/x'),
  renamed2('that must not replace', S.EEXIST, 'other', S.RENAME_NOREPLACE),
  renamed2('that exchanges with nothing', S.ENOENT, 'x', S.RENAME_EXCHANGE),
  renamed2('that is told two things', S.EINVAL, 'x', S.RENAME_NOREPLACE | S.RENAME_EXCHANGE),
  renamed2('of flags that are none', S.EINVAL, 'x', 8),
  link('to a name that is taken', S.EEXIST, 'file', 'other'),
  link('of a directory', S.EPERM, 'dir', 'x'),
  link('in a file', S.ENOTDIR, 'file', 'other/x'),
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
  create('that must be new', S.EEXIST, 'file', S.O_EXCL),
  create('of a directory', S.EISDIR, 'dir'),
  create('of a symbolic link', S.ELOOP, 'link'),
  create('in a file', S.ENOTDIR, 'file/x'),
  create('of a name too long', S.ENAMETOOLONG, LONG),
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
  readsNone('readdir'),
  readsNone('readdirplus'),
];
