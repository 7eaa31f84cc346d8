import { join } from 'node:path';
import type { WireMapping } from '@oriel/shm-region';
import {
  check,
  EACCES,
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOSPC,
  ENXIO,
  Fd,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  type Sys,
} from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { layout, make, memfd, PAGE, PAGES, sys, wire } from './window-helpers.ts';

function open(path: string, flags: number): Fd {
  return new Fd(sys.fd, check(sys.file.openat(-100, Buffer.from(`${path}\0`), flags, 0o600), 'openat'));
}

describe('Window, what it refuses', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('refuses ranges outside, unaligned or of another region', () => {
    using window = make();
    using file = memfd(PAGES);
    const cases: Partial<WireMapping>[] = [
      { shmid: 0 },
      { len: 0 },
      { len: -PAGE },
      { len: 17 * PAGE },
      { len: 100 },
      { len: Number.NaN },
      { shmOffset: -PAGE },
      { shmOffset: 512 },
      { shmOffset: 16 * PAGE },
      { shmOffset: 15 * PAGE, len: 2 * PAGE },
      { shmOffset: 2 ** 64, len: PAGE },
      { fdOffset: 512 },
      { fdOffset: -PAGE },
      { fdOffset: 2 ** 63 },
    ];
    for (const change of cases) {
      expect(window.map(wire(0, 1, change), file.dup()), JSON.stringify(change)).to.equal(-EINVAL);
    }
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
  });

  it('refuses any overlap and keeps what was there', () => {
    using window = make();
    using file = memfd(PAGES);
    expect(window.map(wire(4, 4), file.dup())).to.equal(0);
    for (const [page, pages] of [
      [4, 4],
      [3, 2],
      [7, 1],
      [0, 16],
      [5, 1],
    ] as const) {
      expect(window.map(wire(page, pages), file.dup()), `${page}+${pages}`).to.equal(-EEXIST);
    }
    expect(window.map(wire(3, 1), file.dup())).to.equal(0);
    expect(window.map(wire(8, 1), file.dup())).to.equal(0);
    expect(window.entries().map(({ shmOffset }) => shmOffset / PAGE)).to.deep.equal([3, 4, 8]);
  });

  it('refuses more mappings than it was told to hold', () => {
    using window = make({ maxMappings: 2 });
    using file = memfd(1);
    expect(window.map(wire(0, 1), file.dup())).to.equal(0);
    expect(window.map(wire(1, 1), file.dup())).to.equal(0);
    expect(window.map(wire(2, 1), file.dup())).to.equal(-ENOSPC);
    expect(window.unmap(wire(0, 1))).to.equal(0);
    expect(window.map(wire(2, 1), file.dup())).to.equal(0);
  });

  it('refuses a mapping past the end of its file, never growing it', () => {
    using window = make();
    using dir = tempDir();
    using file = open(join(dir.path, 'short'), O_RDWR | O_CREAT);
    const size = () => sys.file.lseek(file.fd, 0, 2);
    expect(window.map(wire(0, 1), file.dup())).to.equal(-ENXIO);
    check(sys.file.ftruncate(file.fd, PAGE + 100), 'ftruncate');
    expect(window.map(wire(0, 2), file.dup())).to.equal(-ENXIO);
    expect(window.map(wire(0, 1, { fdOffset: PAGE }), file.dup())).to.equal(-ENXIO);
    expect(window.map(wire(0, 1, { fdOffset: 2 ** 40 }), file.dup())).to.equal(-ENXIO);
    expect(window.map(wire(0, 1), file.dup())).to.equal(0);
    expect(size()).to.equal(PAGE + 100);
    expect(window.entries()[0]?.file).to.equal(join(dir.path, 'short'));
  });

  it('asks for the access that the mapping needs', () => {
    using window = make();
    using dir = tempDir();
    const path = join(dir.path, 'file');
    {
      using file = open(path, O_RDWR | O_CREAT);
      check(sys.file.ftruncate(file.fd, PAGE), 'ftruncate');
    }
    expect(window.map(wire(0, 1), open(path, O_RDONLY))).to.equal(-EACCES);
    expect(window.map(wire(0, 1), open(path, O_WRONLY))).to.equal(-EACCES);
    expect(window.map(wire(0, 1, { writable: false }), open(path, O_WRONLY))).to.equal(-EACCES);
    expect(window.map(wire(0, 1, { writable: false }), open(path, O_PATH))).to.equal(-EBADF);
    expect(window.map(wire(0, 1, { writable: false }), open(path, O_RDONLY))).to.equal(0);
    expect(window.map(wire(1, 1, { writable: false }), open(path, O_RDWR))).to.equal(0);
    expect(layout(window)).to.deep.equal(['0+2 r--s', '2+14 ---p']);
    expect(window.write(0, new Uint8Array(1))).to.equal(-EFAULT);
    expect(window.read(PAGE, new Uint8Array(1))).to.equal(1);
  });

  it('refuses what is no file', () => {
    using window = make();
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using other = new Fd(sys.fd, pair[1]!);
    expect(other.closed).to.equal(false);
    const read = { writable: false };
    expect(window.map(wire(0, 1), new Fd(sys.fd, pair[0]!))).to.equal(-ENODEV);
    expect(window.map(wire(0, 1, read), open('/tmp', O_RDONLY | O_DIRECTORY))).to.equal(-ENODEV);
    expect(window.map(wire(0, 1), open('/dev/zero', O_RDWR))).to.equal(-ENODEV);
    expect(window.map(wire(0, 1), new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd')))).to.be.oneOf([
      -ENXIO,
      -ENODEV,
    ]);
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
  });

  it('takes the size of a buffer without a file type from its end', () => {
    const withoutType: Sys['file']['statx'] = (dirfd, path, flags, mask, buffer) => {
      const result = sys.file.statx(dirfd, path, flags, mask, buffer);
      new DataView((buffer as Uint8Array).buffer).setUint16(28, 0o600, true);
      return result;
    };
    using window = make({}, mockSys({ file: { statx: withoutType } }));
    using buffer = memfd(2);
    expect(window.map(wire(0, 3), buffer.dup())).to.equal(-ENXIO);
    expect(window.map(wire(0, 2), buffer.dup())).to.equal(0);
  });
});
