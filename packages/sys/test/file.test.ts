import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  check,
  EAGAIN,
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  ELOOP,
  ENODATA,
  ENOENT,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  ESTALE,
  EXDEV,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  Fd,
  FileHandle,
  Iovec,
  LinuxDirent64,
  LOCK_EX,
  LOCK_NB,
  LOCK_UN,
  MAX_HANDLE_SZ,
  Mapping,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  openSys,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  S_IFIFO,
  S_IFMT,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_SET,
  STATX_BASIC_STATS,
  Statfs,
  Statx,
  Timespec,
  XATTR_CREATE,
} from '../src/index.ts';
import { type TempDir, tempDir } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();
const { file } = sys;
const path = (text: string) => new TextEncoder().encode(`${text}\0`);

let dir: TempDir;
let root: Fd;
let memory: Mapping;
let view: DataView;

function setUp(): void {
  dir = tempDir();
  root = new Fd(sys.fd, check(file.openat(AT_FDCWD, path(dir.path), O_PATH | O_DIRECTORY | O_CLOEXEC, 0), 'openat'));
  memory = Mapping.anonymous(sys.mem, 65_536);
  view = new DataView(memory.u8.buffer);
}

function cleanUp(): void {
  root.close();
  memory[Symbol.dispose]();
  dir[Symbol.dispose]();
}

const open = (name: string, flags = O_RDWR | O_CREAT | O_CLOEXEC, mode = 0o644) =>
  new Fd(sys.fd, check(file.openat(root.fd, path(name), flags, mode), 'openat'));

/** statx into the start of the scratch memory. */
function stat(name: string): void {
  check(file.statx(root.fd, path(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, memory.addr), 'statx');
}

const statMode = () => Statx.stxMode.get(view, 0);
const statSize = () => Statx.stxSize.get(view, 0);

/** An iovec at 1024 of the scratch memory. */
function iovec(...parts: [number, number][]): number {
  parts.forEach(([base, len], index) => {
    Iovec.iovBase.set(view, 1024 + index * Iovec.byteLength, base);
    Iovec.iovLen.set(view, 1024 + index * Iovec.byteLength, len);
  });
  return memory.addr + 1024;
}

describe('file: open and stat', () => {
  checkLeaks(setUp, cleanUp);

  it('creates with a mode and reads it back by statx', () => {
    open('a', O_RDWR | O_CREAT | O_CLOEXEC, 0o640).close();
    stat('a');
    expect(statMode()).to.equal(0o100640);
    expect(Statx.stxNlink.get(view, 0)).to.equal(1);
    expect(file.openat(root.fd, path('b'), O_RDONLY, 0)).to.equal(-ENOENT);
    expect(file.statx(root.fd, path('b'), 0, STATX_BASIC_STATS, memory.addr)).to.equal(-ENOENT);
    expect(file.statx(root.fd, path('a'), 0, STATX_BASIC_STATS, 8)).to.equal(-EFAULT);
  });

  it('stats a descriptor by an empty path', () => {
    using fd = open('a');
    check(file.ftruncate(fd.fd, 5 * 2 ** 30), 'ftruncate');
    expect(file.statx(fd.fd, path(''), AT_EMPTY_PATH, STATX_BASIC_STATS, memory.addr)).to.equal(0);
    expect(statSize()).to.equal(5 * 2 ** 30);
  });

  it('openat2 keeps a path where it belongs', () => {
    symlinkSync('/etc/passwd', join(dir.path, 'out'));
    writeFileSync(join(dir.path, 'in'), 'x');
    expect(file.openat2(root.fd, path('out'), O_RDONLY, 0, RESOLVE_BENEATH)).to.equal(-EXDEV);
    expect(file.openat2(root.fd, path('../x'), O_RDONLY, 0, RESOLVE_BENEATH)).to.equal(-EXDEV);
    expect(file.openat2(root.fd, path('out'), O_RDONLY, 0, RESOLVE_NO_SYMLINKS)).to.equal(-ELOOP);
    using fd = new Fd(sys.fd, check(file.openat2(root.fd, path('in'), O_RDONLY | O_CLOEXEC, 0, RESOLVE_BENEATH), 'x'));
    expect(fd.fd).to.be.above(2);
    expect(file.openat(root.fd, path('out'), O_RDONLY | O_NOFOLLOW, 0)).to.equal(-ELOOP);
  });

  it('fills statfs', () => {
    using fd = open('a');
    expect(file.fstatfs(fd.fd, memory.addr)).to.equal(0);
    expect(Statfs.fBsize.get(view, 0)).to.be.above(0);
    expect(Statfs.fNamelen.get(view, 0)).to.equal(255);
    expect(file.fstatfs(99_999, memory.addr)).to.equal(-EBADF);
  });
});

describe('file: data', () => {
  checkLeaks(setUp, cleanUp);

  it('reads and writes vectors at offsets', () => {
    using fd = open('a');
    memory.u8.set([1, 2, 3, 4, 5], 4096);
    const vector = iovec([memory.addr + 4096, 2], [memory.addr + 4098, 3]);
    expect(file.pwritev2(fd.fd, vector, 2, 2 ** 33, 0)).to.equal(5);
    const back = iovec([memory.addr + 8192, 4], [memory.addr + 8200, 100]);
    expect(file.preadv2(fd.fd, back, 2, 2 ** 33, 0)).to.equal(5);
    expect([...memory.u8.subarray(8192, 8202)]).to.deep.equal([1, 2, 3, 4, 0, 0, 0, 0, 5, 0]);
    expect(file.preadv2(fd.fd, back, 2, 2 ** 33, 0x4000_0000)).to.equal(-EOPNOTSUPP);
    expect(file.preadv2(99_999, back, 2, 0, 0)).to.equal(-EBADF);
    expect(file.preadv2(fd.fd, iovec([8, 4]), 1, 2 ** 33, 0)).to.equal(-EFAULT);
  });

  it('seeks, to data too, and answers big offsets', () => {
    using fd = open('a');
    check(file.ftruncate(fd.fd, 1 << 20), 'ftruncate');
    expect(file.lseek(fd.fd, 0, SEEK_END)).to.equal(1 << 20);
    expect(file.lseek(fd.fd, 10, SEEK_SET)).to.equal(10);
    expect(file.lseek(fd.fd, 5, SEEK_CUR)).to.equal(15);
    expect(file.lseek(fd.fd, 2 ** 41, SEEK_SET)).to.equal(2 ** 41);
    expect(file.lseek(fd.fd, -1, SEEK_SET)).to.equal(-EINVAL);
    expect(file.lseek(fd.fd, 5n, SEEK_SET)).to.equal(5);
    expect(file.lseek(fd.fd, 0, SEEK_DATA)).to.be.oneOf([-6, 0]);
  });

  it('gives a directory offset above 2^53 as a BigInt', () => {
    // Directories of ext4 have hashed 63-bit cookies and take any of them; other file systems refuse.
    using directory = open('.', O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const cookie = 2n ** 62n + 1n;
    expect(file.lseek(directory.fd, cookie, SEEK_SET)).to.be.oneOf([cookie, -EINVAL]);
  });

  it('allocates, punches and copies', () => {
    using from = open('a');
    using to = open('b');
    expect(file.fallocate(from.fd, 0, 0, 12_288)).to.equal(0);
    check(sys.fd.pwrite(from.fd, new Uint8Array(12_288).fill(7), 12_288, 0), 'pwrite');
    expect(file.copyFileRange(from.fd, 4096, to.fd, 100, 4096)).to.equal(4096);
    expect(file.fallocate(from.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192)).to.equal(0);
    expect(readFileSync(join(dir.path, 'a')).indexOf(7)).to.equal(8192);
    expect(readFileSync(join(dir.path, 'b')).indexOf(7)).to.equal(100);
    expect(readFileSync(join(dir.path, 'b')).length).to.equal(4196);
    expect(file.fallocate(99_999, 0, 0, 1)).to.equal(-EBADF);
    expect(file.copyFileRange(99_999, 0, to.fd, 0, 1)).to.equal(-EBADF);
  });

  it('syncs', () => {
    using fd = open('a');
    expect(file.fsync(fd.fd)).to.equal(0);
    expect(file.fdatasync(fd.fd)).to.equal(0);
    expect(file.syncfs(fd.fd)).to.equal(0);
    expect(file.fsync(99_999)).to.equal(-EBADF);
  });

  it('locks', () => {
    using one = open('a');
    using two = open('a');
    expect(file.flock(one.fd, LOCK_EX)).to.equal(0);
    expect(file.flock(two.fd, LOCK_EX | LOCK_NB)).to.equal(-EAGAIN);
    expect(file.flock(one.fd, LOCK_UN)).to.equal(0);
    expect(file.flock(two.fd, LOCK_EX | LOCK_NB)).to.equal(0);
  });
});

describe('file: names', () => {
  checkLeaks(setUp, cleanUp);

  it('makes and removes directories, links and nodes', () => {
    expect(file.mkdirat(root.fd, path('d'), 0o750)).to.equal(0);
    expect(file.mkdirat(root.fd, path('d'), 0o750)).to.equal(-EEXIST);
    expect(file.mknodat(root.fd, path('d/fifo'), S_IFIFO | 0o600, 0)).to.equal(0);
    stat('d/fifo');
    expect(statMode() & S_IFMT).to.equal(S_IFIFO);
    expect(file.symlinkat(path('some/where'), root.fd, path('s'))).to.equal(0);
    expect(file.readlinkat(root.fd, path('s'), memory.addr, 100)).to.equal(10);
    expect(Buffer.from(memory.u8.subarray(0, 10)).toString()).to.equal('some/where');
    expect(file.linkat(root.fd, path('d/fifo'), root.fd, path('hard'), 0)).to.equal(0);
    stat('hard');
    expect(Statx.stxNlink.get(view, 0)).to.equal(2);
    expect(file.unlinkat(root.fd, path('d/fifo'), 0)).to.equal(0);
    expect(file.unlinkat(root.fd, path('d'), AT_REMOVEDIR)).to.equal(0);
    expect(file.unlinkat(root.fd, path('d'), AT_REMOVEDIR)).to.equal(-ENOENT);
  });

  it('renames with flags', () => {
    writeFileSync(join(dir.path, 'a'), 'AA');
    writeFileSync(join(dir.path, 'b'), 'B');
    expect(file.renameat2(root.fd, path('a'), root.fd, path('b'), RENAME_NOREPLACE)).to.equal(-EEXIST);
    expect(file.renameat2(root.fd, path('a'), root.fd, path('b'), RENAME_EXCHANGE)).to.equal(0);
    expect(readFileSync(join(dir.path, 'a'), 'latin1')).to.equal('B');
    expect(file.renameat2(root.fd, path('a'), root.fd, path('c'), 0)).to.equal(0);
    expect(readFileSync(join(dir.path, 'c'), 'latin1')).to.equal('B');
  });

  it('lists a directory', () => {
    const names = ['one', 'two', 'three with a longer name'];
    for (const name of names) {
      writeFileSync(join(dir.path, name), '');
    }
    mkdirSync(join(dir.path, 'sub'));
    using directory = open('.', O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const found = new Map<string, number>();
    for (let len = 0; (len = check(file.getdents64(directory.fd, memory.addr, 256), 'getdents64')) > 0; ) {
      for (let base = 0; base < len; base += LinuxDirent64.dReclen.get(view, base)) {
        const name = memory.u8.subarray(base + LinuxDirent64.byteLength, base + LinuxDirent64.dReclen.get(view, base));
        found.set(Buffer.from(name.subarray(0, name.indexOf(0))).toString(), LinuxDirent64.dType.get(view, base));
      }
    }
    expect([...found.keys()].sort()).to.deep.equal(['.', '..', 'one', 'sub', 'three with a longer name', 'two']);
    expect(found.get('sub')).to.equal(4);
    expect(found.get('one')).to.equal(8);
    expect(file.getdents64(directory.fd, memory.addr, 1)).to.be.oneOf([0, -EINVAL]);
  });
});

describe('file: attributes', () => {
  checkLeaks(setUp, cleanUp);

  it('changes modes', () => {
    using fd = open('a');
    expect(file.fchmod(fd.fd, 0o604)).to.equal(0);
    stat('a');
    expect(statMode() & 0o7777).to.equal(0o604);
    expect(file.fchmodat(root.fd, path('a'), 0o700)).to.equal(0);
    stat('a');
    expect(statMode() & 0o7777).to.equal(0o700);
  });

  it('changes owners, up to the largest id', function () {
    if (process.getuid?.() !== 0) {
      this.skip();
    }
    open('a').close();
    expect(file.fchownat(root.fd, path('a'), 0xffff_fffe, 77, 0)).to.equal(0);
    stat('a');
    expect(Statx.stxUid.get(view, 0)).to.equal(0xffff_fffe);
    expect(file.fchownat(root.fd, path('a'), -1, 78, AT_SYMLINK_NOFOLLOW)).to.equal(0);
    stat('a');
    expect(Statx.stxUid.get(view, 0)).to.equal(0xffff_fffe);
    expect(Statx.stxGid.get(view, 0)).to.equal(78);
  });

  it('sets times, of a path and of a descriptor', () => {
    using fd = open('a');
    const times = memory.addr + 2048;
    const set = (seconds: number, nanoseconds: number) => {
      for (const base of [2048, 2048 + Timespec.byteLength]) {
        Timespec.tvSec.set(view, base, seconds);
        Timespec.tvNsec.set(view, base, nanoseconds);
      }
    };
    set(1_000_000, 5);
    expect(file.utimensat(root.fd, path('a'), times, 0)).to.equal(0);
    stat('a');
    expect(Statx.stxMtimeSec.get(view, 0)).to.equal(1_000_000);
    expect(Statx.stxMtimeNsec.get(view, 0)).to.equal(5);
    set(2_000_000, 0);
    expect(file.utimensat(fd.fd, 0, times, 0)).to.equal(0);
    stat('a');
    expect(Statx.stxAtimeSec.get(view, 0)).to.equal(2_000_000);
  });

  it('keeps extended attributes, on paths and on descriptors by /proc', () => {
    using fd = open('a');
    const where = path(`/proc/self/fd/${fd.fd}`);
    const value = Uint8Array.of(1, 0, 2);
    expect(file.setxattr(where, path('user.x'), value, 3, XATTR_CREATE)).to.equal(0);
    expect(file.setxattr(where, path('user.x'), value, 3, XATTR_CREATE)).to.equal(-EEXIST);
    expect(file.getxattr(path(join(dir.path, 'a')), path('user.x'), memory.addr, 100)).to.equal(3);
    expect([...memory.u8.subarray(0, 4)]).to.deep.equal([1, 0, 2, 0]);
    expect(file.getxattr(where, path('user.x'), memory.addr, 0)).to.equal(3);
    expect(file.listxattr(where, memory.addr, 100)).to.be.at.least(7);
    expect(Buffer.from(memory.u8.subarray(0, 100)).includes('user.x\0')).to.equal(true);
    expect(file.removexattr(where, path('user.x'))).to.equal(0);
    expect(file.getxattr(where, path('user.x'), memory.addr, 100)).to.equal(-ENODATA);
  });
});

describe('file: handles', () => {
  checkLeaks(setUp, cleanUp);

  const empty = new Uint8Array(1);
  const mountId = () => memory.addr + 3072;

  /** Takes the handle of a descriptor to 2048 of the scratch memory. */
  function take(fd: number, room: number): number {
    FileHandle.handleBytes.set(view, 2048, room);
    return file.nameToHandleAt(fd, empty, memory.addr + 2048, mountId(), AT_EMPTY_PATH);
  }

  it('open the file that they were taken of, until it is gone', function () {
    open('a').close();
    const taken = file.nameToHandleAt(root.fd, path('a'), memory.addr + 2048, mountId(), 0);
    expect(taken).to.equal(-EOVERFLOW);
    const old = open('a', O_PATH | O_CLOEXEC);
    expect(take(old.fd, MAX_HANDLE_SZ)).to.equal(0);
    expect(FileHandle.handleBytes.get(view, 2048)).to.be.within(1, MAX_HANDLE_SZ);
    using mount = open('.', O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const again = file.openByHandleAt(mount.fd, memory.addr + 2048, O_PATH | O_CLOEXEC);
    if (again === -EPERM) {
      old.close();
      this.skip();
    }
    using reopened = new Fd(sys.fd, check(again, 'open_by_handle_at'));
    stat('a');
    const ino = Statx.stxIno.get(view, 0);
    check(file.statx(reopened.fd, empty, AT_EMPTY_PATH, STATX_BASIC_STATS, memory.addr), 'statx');
    expect(Statx.stxIno.get(view, 0)).to.equal(ino);

    check(file.unlinkat(root.fd, path('a'), 0), 'unlinkat');
    old.close();
    reopened.close();

    expect(file.openByHandleAt(mount.fd, memory.addr + 2048, O_PATH | O_CLOEXEC)).to.equal(-ESTALE);
  });

  it('need a descriptor that is not O_PATH, and room', () => {
    using fd = open('a');
    expect(take(fd.fd, 0)).to.equal(-EOVERFLOW);
    expect(take(fd.fd, MAX_HANDLE_SZ)).to.equal(0);
    expect(file.openByHandleAt(root.fd, memory.addr + 2048, O_PATH | O_CLOEXEC)).to.be.oneOf([-EBADF, -EPERM]);
    expect(take(-1, MAX_HANDLE_SZ)).to.equal(-EBADF);
  });
});
