import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import {
  EBADF,
  EFAULT,
  EINVAL,
  EMFILE,
  ENOENT,
  ENOSYS,
  EROFS,
  O_APPEND,
  O_RDONLY,
  O_RDWR,
  S_IFIFO,
  SEEK_HOLE,
} from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';
import { TestOffload } from './support/offload.ts';
import { ROOT } from './support/share.ts';

describe('a driver in a FUSE session', () => {
  checkLeaks();

  it('lives through the life of a file', () => {
    using driven = new DrivenShare({ xattr: true });
    const { driver, share } = driven;
    const { request } = driver;
    const text = Buffer.from('some text, '.repeat(500));

    const created = driver.call(request.create(ROOT, 'file', O_RDWR, 0o640));
    const { nodeid } = created.readEntry();
    const { fh } = created;
    expect(driver.call(request.write(nodeid, fh, 0, text.length), text).count).to.equal(text.length);
    expect(driver.call(request.write(nodeid, fh, 0, 3, O_RDWR | O_APPEND), Buffer.from('end')).count).to.equal(3);
    expect(readFileSync(share.at('file'), 'utf8')).to.equal(`${text}end`);
    const read = driver.call(request.read(nodeid, fh, 100, 100_000)).data;
    expect(Buffer.from(read).toString()).to.equal(`${text}end`.slice(100));
    expect(driver.call(request.getattr(nodeid, fh)).readAttributes().size).to.equal(text.length + 3);
    const changed = driver.call(request.setattr(nodeid, { size: 10, mode: 0o600, mtime: 5, atime: 'now' }));
    expect(changed.readAttributes()).to.include({ size: 10, mode: 0o100600, mtime: 5 });
    expect(driver.call(request.lseek(nodeid, fh, 0, SEEK_HOLE)).offset).to.equal(10);
    expect(driver.call(request.fallocate(nodeid, fh, 0, 5000)).error).to.equal(0);
    expect(driver.call(request.setxattr(nodeid, 'user.a', Buffer.from('value'))).error).to.equal(0);
    expect(Buffer.from(driver.call(request.getxattr(nodeid, 'user.a', 100)).data).toString()).to.equal('value');
    expect(driver.call(request.listxattr(nodeid, 0)).count).to.equal(7);
    expect(driver.call(request.flush(nodeid, fh)).error).to.equal(0);
    expect(driver.call(request.fsync(nodeid, fh)).error).to.equal(0);
    expect(driver.call(request.link(nodeid, ROOT, 'second')).readEntry().attr.nlink).to.equal(2);
    expect(driver.call(request.rename2(ROOT, 'file', ROOT, 'second', 1)).error).to.be.greaterThan(0);
    expect(driver.call(request.rename(ROOT, 'second', ROOT, 'third')).error).to.equal(0);
    expect(driver.call(request.unlink(ROOT, 'third')).error).to.equal(0);
    expect(driver.call(request.unlink(ROOT, 'file')).error).to.equal(0);
    expect(driver.call(request.release(nodeid, fh)).error).to.equal(0);
    expect(driver.call(request.syncfs(ROOT)).error).to.equal(0);
    driver.call(request.forget(nodeid, 2));
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
  });

  it('makes and lists what directories hold', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    for (let index = 0; index < 300; index++) {
      writeFileSync(share.at(`file-${index}`), '');
    }
    driver.call(request.mkdir(ROOT, 'dir', 0o750));
    driver.call(request.mknod(ROOT, 'fifo', S_IFIFO | 0o600));
    const link = driver.call(request.symlink(ROOT, 'link', 'some/where')).readEntry().nodeid;
    const { fh } = driver.call(request.opendir(ROOT));

    for (const plus of [false, true]) {
      const names: string[] = [];
      for (let lo = 0, hi = 0; ; ) {
        const asked = plus ? request.readdirplus(ROOT, fh, lo, hi, 2000) : request.readdir(ROOT, fh, lo, hi, 2000);
        const records = driver.call(asked).readRecords();
        const last = records.at(-1);
        if (last === undefined) {
          break;
        }
        names.push(...records.map(({ name }) => name.toString()));
        [lo, hi] = [last.cookieLo, last.cookieHi];
      }
      expect(new Set(names).size).to.equal(305);
      expect(names).to.have.length(305);
    }

    expect(lstatSync(share.at('dir')).mode).to.equal(0o40750);
    expect(lstatSync(share.at('fifo')).isFIFO()).to.equal(true);
    expect(Buffer.from(driver.call(request.readlink(link)).data).toString()).to.equal('some/where');
    expect(driver.call(request.statfs(ROOT)).readStatfs().namelen).to.equal(255);
    expect(driver.call(request.rmdir(ROOT, 'dir')).error).to.equal(0);
    expect(driver.call(request.fsyncdir(ROOT, fh)).error).to.equal(0);
    expect(driver.call(request.releasedir(ROOT, fh)).error).to.equal(0);
    expect(share.fs.stats).to.include({ inodes: 304, handles: 0 });
  });

  it('is refused names that are more than one component', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    mkdirSync(share.at('dir'));

    for (const name of ['..', '.', '../x', 'dir/x', '/etc/passwd', '']) {
      expect(driver.call(request.lookup(ROOT, name)).error, name).to.equal(EINVAL);
      expect(driver.call(request.mkdir(ROOT, name, 0o755)).error, name).to.equal(EINVAL);
      expect(driver.call(request.unlink(ROOT, name)).error, name).to.equal(EINVAL);
    }
    symlinkSync('/etc', share.at('link'));
    const link = driver.call(request.lookup(ROOT, 'link')).readEntry();
    expect(link.attr.mode & 0o170000).to.equal(0o120000);
    expect(driver.call(request.lookup(link.nodeid, 'passwd')).error).to.be.greaterThan(0);
  });

  it('is told by ENOSYS only what is not there at all', () => {
    using driven = new DrivenShare();
    const { driver } = driven;
    const { request } = driver;

    expect(driver.call(request.getxattr(ROOT, 'user.a', 10)).error).to.equal(ENOSYS);
    expect(driver.call(request.listxattr(ROOT, 10)).error).to.equal(ENOSYS);
  });

  it('gets nothing changed on a read-only share', () => {
    using driven = new DrivenShare({ readonly: true });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), 'text');
    const { nodeid } = driver.call(request.lookup(ROOT, 'file')).readEntry();

    expect(driver.call(request.open(nodeid, O_RDWR)).error).to.equal(EROFS);
    expect(driver.call(request.mkdir(ROOT, 'dir', 0o755)).error).to.equal(EROFS);
    expect(driver.call(request.setattr(nodeid, { size: 0 })).error).to.equal(EROFS);
    expect(driver.call(request.open(nodeid, O_RDONLY)).error).to.equal(0);
    expect(statSync(share.at('file')).size).to.equal(4);
  });

  it('starts anew at INIT and at DESTROY', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), 'text');
    const { nodeid } = driver.call(request.lookup(ROOT, 'file')).readEntry();
    driver.call(request.open(nodeid, O_RDONLY));

    driver.init();
    expect(driver.call(request.getattr(nodeid)).error).to.equal(EBADF);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
    driver.call(request.lookup(ROOT, 'file'));
    expect(driver.call(request.destroy()).error).to.equal(0);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
    driver.init();
    expect(driver.call(request.lookup(ROOT, 'file')).error).to.equal(0);
  });

  it('leaves no count and no handle behind where a reply does not reach it', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request } = driver;
    const { session, message } = driver;
    const nodeid = share.put('file', 'text');
    const asked = [
      () => request.lookup(ROOT, 'file'),
      () => request.create(ROOT, 'new', O_RDWR, 0o644),
      () => request.open(nodeid, O_RDONLY),
      () => request.opendir(ROOT),
      () => request.mkdir(ROOT, 'dir', 0o755),
    ];

    for (const ask of asked) {
      const { bytes, len, room } = ask();
      message.load(bytes, len, room);
      message.broken = true;
      session.handle(message);
      expect(share.fs.stats).to.include({ inodes: 2, handles: 0, devices: 1, pending: 0 });
    }
  });

  it('waits for helper threads, and gets their errors', () => {
    using offload = new TestOffload();
    using driven = new DrivenShare({ offload });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), 'text');
    const { nodeid } = driver.call(request.lookup(ROOT, 'file')).readEntry();
    const { fh } = driver.call(request.open(nodeid, O_RDWR));

    for (const [result, error] of [
      [0, 0],
      [-5, 5],
    ] as const) {
      expect(driver.send(request.fsync(nodeid, fh))).to.equal(false);
      offload.finish(result);
      expect(driver.take(request).error).to.equal(error);
    }
  });

  it('lists every name under EMFILE', () => {
    const sys = mockSys();
    using driven = new DrivenShare({ sys });
    const { driver, share } = driven;
    const { request } = driver;
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(share.at(name), '');
    }
    const { fh } = driver.call(request.opendir(ROOT));
    sys.failNext('file.openat2', EMFILE, 3);

    const records = driver.call(request.readdirplus(ROOT, fh, 0, 0, 4096)).readRecords();

    expect(records.map(({ name }) => name.toString()).sort()).to.deep.equal(['.', '..', 'a', 'b', 'c']);
    expect(records.every(({ entry }) => entry === null || entry.nodeid === 0)).to.equal(true);
    sys.failNext('file.openat2', EMFILE);
    expect(driver.call(request.lookup(ROOT, 'a')).error).to.equal(EMFILE);
    expect(driver.call(request.lookup(ROOT, 'nothing')).error).to.equal(ENOENT);
  });

  it('is told EFAULT where its memory cannot be reached', () => {
    using driven = new DrivenShare();
    const { driver, share } = driven;
    const { request, message } = driver;
    writeFileSync(share.at('file'), 'text');
    const { nodeid } = driver.call(request.lookup(ROOT, 'file')).readEntry();
    const { fh } = driver.call(request.open(nodeid, O_RDWR));
    const nowhere = (_offset: number, len: number, iov: Uint32Array): number => {
      iov.set([4096, 0, len, 0]);
      return 1;
    };
    message.readIovec = nowhere;
    message.writeIovec = nowhere;

    expect(driver.call(request.read(nodeid, fh, 0, 4)).error).to.equal(EFAULT);
    expect(driver.call(request.write(nodeid, fh, 0, 3), Buffer.from('abc')).error).to.equal(EFAULT);

    expect(readFileSync(share.at('file'), 'utf8')).to.equal('text');
  });
});
