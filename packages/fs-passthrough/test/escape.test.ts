import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FATTR_MODE, FATTR_SIZE } from '@oriel/fuse';
import {
  AT_FDCWD,
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  EPERM,
  EXDEV,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  openSys,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFSOCK,
} from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { needHandles } from './support/file-handles.ts';
import { asRoot } from './support/identity.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

describe('a guest that wants out', () => {
  checkLeaks();

  let outside: string;
  beforeEach(() => {
    outside = mkdtempSync(join(tmpdir(), 'oriel-outside-'));
    writeFileSync(join(outside, 'secret'), 'secret');
  });
  afterEach(() => {
    expect(readFileSync(join(outside, 'secret'), 'utf8')).to.equal('secret');
    rmSync(outside, { recursive: true });
  });

  it('gets a symbolic link as such, and nothing behind it', () => {
    using share = new TestShare();
    symlinkSync(outside, share.at('dir'));
    symlinkSync(join(outside, 'secret'), share.at('file'));

    const dir = share.lookup('dir');
    const file = share.lookup('file');

    expect(dir.op.entry.attr.mode & 0o170000).to.equal(S_IFLNK);
    expect(share.lookup('secret', dir.nodeid).result).to.equal(-ENOTDIR);
    expect(share.open(file.nodeid).result).to.equal(-ELOOP);
    expect(share.open(file.nodeid, O_RDWR | O_TRUNC).result).to.equal(-ELOOP);
    expect(share.fs.opendir(share.op(), dir.nodeid)).to.equal(-ENOTDIR);
    expect(share.setattr(file.nodeid, { valid: FATTR_SIZE, size: 0 }).result).to.equal(-EINVAL);
    expect(share.setattr(file.nodeid, { valid: FATTR_MODE, mode: 0 }).result).to.be.lessThan(0);
    expect(share.fs.openForMapping(file.nodeid)).to.be.lessThan(0);
    expect(share.fs.syncfs(share.op(), dir.nodeid)).to.equal(-EINVAL);
  });

  it('makes nothing through a symbolic link', () => {
    using share = new TestShare();
    symlinkSync(outside, share.at('dir'));
    symlinkSync(join(outside, 'new'), share.at('file'));
    symlinkSync(join(outside, 'secret'), share.at('secret'));
    const dir = share.node('dir');

    expect(share.create('x', O_RDWR, 0o644, dir).result).to.equal(-ENOTDIR);
    expect(share.mkdir('x', 0o755, dir).result).to.equal(-ENOTDIR);
    expect(share.unlink('secret', dir)).to.equal(-ENOTDIR);
    expect(share.rename('secret', 'x', 0, dir, ROOT)).to.equal(-ENOTDIR);
    expect(share.create('file', O_RDWR).result).to.equal(-ELOOP);
    expect(share.create('file', O_RDWR | O_EXCL).result).to.equal(-EEXIST);
    expect(share.create('secret', O_RDWR | O_TRUNC).result).to.equal(-ELOOP);
    expect(share.link(share.node('secret'), 'hard').result).to.equal(0);
    expect(share.lookup('hard').op.entry.attr.mode & 0o170000).to.equal(S_IFLNK);
  });

  it('finds no way up, even with names that a session would refuse', () => {
    using share = new TestShare();
    mkdirSync(share.at('dir'));
    writeFileSync(`${share.path}-sibling`, '');
    const dir = share.node('dir');

    for (const name of ['..', '../..', `../${share.path.split('/').at(-1)}-sibling`, '/etc/passwd', 'dir/../..']) {
      const known = share.fs.stats.inodes;
      const { result, nodeid } = share.lookup(name);
      expect(result === 0 ? nodeid : 0, name).to.equal(0);
      expect([-EXDEV, -ENOENT], name).to.include(result);
      expect(share.fs.stats.inodes).to.equal(known);
    }
    expect(share.create('../escaped', O_RDWR, 0o644, ROOT).result).to.equal(-EXDEV);
    expect(share.lookup('..', dir).result).to.equal(-EXDEV);
    rmSync(`${share.path}-sibling`);
  });

  it('stays inside while directories move under its feet', () => {
    const real = openSys().file;
    let move: (() => void) | undefined;
    const sys = mockSys({
      file: {
        openat2(...args) {
          move?.();
          return real.openat2(...args);
        },
      },
    });
    using share = new TestShare({ sys });
    mkdirSync(share.at('a', 'b'), { recursive: true });
    writeFileSync(share.at('a', 'b', 'secret'), 'mine');
    const b = share.node('a', 'b');
    move = () => {
      move = undefined;
      renameSync(share.at('a', 'b'), share.at('moved'));
      symlinkSync(outside, share.at('a', 'b'));
    };

    const { result, nodeid } = share.lookup('secret', b);

    expect(result).to.equal(0);
    expect(share.read(share.fh(nodeid), 0, 10)).to.equal('mine');
  });

  it('is not led out by a directory that becomes a link between two of its steps', () => {
    using share = new TestShare();
    mkdirSync(share.at('dir'));
    const dir = share.node('dir');
    renameSync(share.at('dir'), share.at('away'));
    symlinkSync(outside, share.at('dir'));

    expect(share.create('x', O_RDWR, 0o644, dir).result).to.equal(0);

    expect(readFileSync(share.at('away', 'x'), 'utf8')).to.equal('');
    expect(share.lookup('secret', dir).result).to.equal(-ENOENT);
  });

  it('cannot have special files opened on the host', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    share.mknod('fifo', S_IFIFO | 0o666);
    share.mknod('socket', S_IFSOCK | 0o666);
    const special = ['fifo', 'socket'];
    // Only root may make a device.
    if (share.mknod('null', S_IFCHR | 0o666, 0x103).result === 0) {
      special.push('null');
    }
    sys.reset();

    for (const name of special) {
      const nodeid = share.node(name);
      for (const flags of [O_RDONLY, O_WRONLY, O_RDWR | O_TRUNC]) {
        expect(share.open(nodeid, flags).result, name).to.equal(-EBADF);
      }
      expect(share.create(name, O_RDWR).result, name).to.equal(-EBADF);
      expect(share.setattr(nodeid, { valid: FATTR_SIZE, size: 0 }).result, name).to.equal(-EINVAL);
      expect(share.fs.openForMapping(nodeid), name).to.be.lessThan(0);
    }

    expect(sys.count('file.openat')).to.equal(0);
  });

  asRoot('makes device files, with the number that it gave', () => {
    using share = new TestShare();

    const made = share.mknod('disk', S_IFCHR | 0o600, 0xffff_ab12);

    const { attr } = made.op.entry;
    expect(made.result).to.equal(0);
    expect([attr.rdevMajor, attr.rdevMinor]).to.deep.equal([0xfab, 0xfff12]);
  });

  it('makes no directory and no link by MKNOD, and opens none by OPEN', () => {
    using share = new TestShare();

    expect(share.mknod('dir', S_IFDIR | 0o755).result).to.equal(-EPERM);
    expect(share.mknod('link', S_IFLNK | 0o777).result).to.equal(-EINVAL);
    expect(share.open(ROOT).result).to.equal(-EISDIR);
  });

  it('is held in by openat too, where openat2 is missing', () => {
    const sys = mockSys({ file: { openat2: () => -38 } });
    using share = new TestShare({ sys });
    symlinkSync(join(outside, 'secret'), share.at('link'));
    writeFileSync(share.at('file'), 'in');

    const link = share.lookup('link');

    expect(link.op.entry.attr.mode & 0o170000).to.equal(S_IFLNK);
    expect(share.read(share.fh(share.node('file')), 0, 9)).to.equal('in');
    expect(share.create('link', O_RDWR | O_EXCL).result).to.equal(-EEXIST);
    expect(share.create('new', O_RDWR).result).to.equal(0);
    const opened = sys.calls.filter((call) => call.name === 'file.openat' && call.args[0] !== AT_FDCWD);
    expect(opened.length).to.be.greaterThan(0);
  });

  for (const inodeFileHandles of ['prefer', 'never'] as const) {
    it(`follows what the host moves out no further up (inodeFileHandles '${inodeFileHandles}')`, function () {
      if (inodeFileHandles === 'prefer') {
        needHandles(this, tmpdir());
      }
      using share = new TestShare({
        inodeFileHandles,
        limits: { maxInodeDescriptors: inodeFileHandles === 'never' ? 64 : 4 },
      });
      mkdirSync(share.at('dir'));
      writeFileSync(share.at('dir', 'file'), 'mine');
      const dir = share.node('dir');
      for (let n = 0; n < 12; n++) {
        writeFileSync(share.at(`other${n}`), '');
        share.node(`other${n}`);
      }
      renameSync(share.at('dir'), join(outside, 'dir'));

      expect(share.read(share.fh(share.lookup('file', dir).nodeid), 0, 9)).to.equal('mine');
      expect(share.lookup('..', dir).result).to.equal(-EXDEV);
      expect(share.lookup('dir').result).to.equal(-ENOENT);
      rmSync(join(outside, 'dir'), { recursive: true });
    });
  }
});
