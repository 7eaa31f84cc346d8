import type { ShmRegionError } from '@oriel/shm-region';
import { check, EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, type Logger, type Sys, silentLogger } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { layout, make, memfd, PAGE, PAGES, sys, wire } from './window-helpers.ts';

describe('Window', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('reserves address space without access, and gives it back', () => {
    const window = make();
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
    expect(window.read(0, new Uint8Array(1))).to.equal(-EFAULT);
    window[Symbol.dispose]();
    window[Symbol.dispose]();
    expect(layout(window)).to.deep.equal(['0+16 hole']);
  });

  it('shows the bytes of a file, and takes them back', () => {
    using window = make();
    using file = memfd(4);
    check(sys.fd.pwrite(file.fd, Buffer.from('second page'), 11, PAGE), 'pwrite');
    expect(window.map(wire(2, 3, { fdOffset: PAGE }), file.dup())).to.equal(0);
    expect(layout(window)).to.deep.equal(['0+2 ---p', '2+3 rw-s', '5+11 ---p']);
    const bytes = Buffer.alloc(11);
    expect(window.read(2 * PAGE, bytes)).to.equal(11);
    expect(bytes.toString()).to.equal('second page');
    expect(window.write(3 * PAGE + 7, Buffer.from('written'))).to.equal(7);
    check(sys.fd.pread(file.fd, bytes, 7, 2 * PAGE + 7), 'pread');
    expect(bytes.toString('latin1', 0, 7)).to.equal('written');
    expect(window.entries()).to.deep.equal([
      {
        shmOffset: 2 * PAGE,
        len: 3 * PAGE,
        fdOffset: PAGE,
        writable: true,
        file: '/memfd:window-test (deleted)',
        lost: 0,
      },
    ]);
    expect(window.unmap(wire(2, 3))).to.equal(0);
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
    expect(window.read(2 * PAGE, bytes)).to.equal(-EFAULT);
    expect(window.entries()).to.deep.equal([]);
  });

  it('copies more than its scratch memory holds', () => {
    const size = 64 * PAGE;
    using window = make({ size });
    expect(window.map(wire(0, 64), memfd(64))).to.equal(0);
    const from = Uint8Array.from({ length: size - 100 }, (_, i) => (i * 31 + (i >> 12)) & 0xff);
    expect(window.write(50, from)).to.equal(from.length);
    const to = new Uint8Array(from.length);
    expect(window.read(50, to)).to.equal(from.length);
    expect(Buffer.compare(from, to)).to.equal(0);
  });

  it('owns the descriptor, whether it maps or refuses', () => {
    using window = make();
    for (const [request, result] of [
      [wire(0, 1), 0],
      [wire(0, 1), -EEXIST],
      [wire(0, 0), -EINVAL],
    ] as const) {
      const fd = memfd(1);
      expect(window.map(request, fd)).to.equal(result);
      expect(fd.closed).to.equal(true);
    }
  });

  it('gives -EFAULT, not a signal, where the file was truncated', () => {
    using window = make();
    using file = memfd(4);
    expect(window.map(wire(0, 4), file.dup())).to.equal(0);
    check(sys.file.ftruncate(file.fd, PAGE), 'ftruncate');
    const bytes = new Uint8Array(16);
    expect(window.read(0, bytes)).to.equal(16);
    expect(window.read(PAGE, bytes)).to.equal(-EFAULT);
    expect(window.write(2 * PAGE, bytes)).to.equal(-EFAULT);
    expect(window.read(PAGE - 8, bytes), 'half in, half out').to.equal(-EFAULT);
    expect(window.write(PAGE - 8, bytes), 'half in, half out').to.equal(-EFAULT);
    check(sys.file.ftruncate(file.fd, 4 * PAGE), 'ftruncate');
    expect(window.read(PAGE, bytes)).to.equal(16);
    expect(window.unmap(wire(0, 4))).to.equal(0);
  });

  it('reads and writes only inside', () => {
    using window = make();
    expect(window.read(16 * PAGE, new Uint8Array(0))).to.equal(0);
    for (const offset of [16 * PAGE, 16 * PAGE - 1, -1, 0.5, Number.NaN, 2 ** 53]) {
      expect(window.read(offset, new Uint8Array(2)), `${offset}`).to.equal(-EINVAL);
      expect(window.write(offset, new Uint8Array(2)), `${offset}`).to.equal(-EINVAL);
    }
  });

  it('unmaps exactly one mapping', () => {
    using window = make();
    using file = memfd(PAGES);
    window.map(wire(0, 2), file.dup());
    window.map(wire(2, 2), file.dup());
    for (const [page, pages] of [
      [0, 1],
      [1, 1],
      [0, 4],
      [4, 2],
      [1, 2],
    ] as const) {
      expect(window.unmap(wire(page, pages)), `${page}+${pages}`).to.equal(-ENOENT);
    }
    for (const change of [{ shmid: 0 }, { len: 0 }, { shmOffset: 1 }, { shmOffset: 2 ** 53 }]) {
      expect(window.unmap(wire(0, 2, change)), JSON.stringify(change)).to.equal(-EINVAL);
    }
    expect(window.unmap(wire(0, 2))).to.equal(0);
    expect(window.unmap(wire(0, 2))).to.equal(-ENOENT);
    expect(layout(window)).to.deep.equal(['0+2 ---p', '2+2 rw-s', '4+12 ---p']);
  });

  it('clears everything at reset', () => {
    using window = make();
    using file = memfd(2);
    window.map(wire(0, 2), file.dup());
    window.map(wire(9, 1), file.dup());
    window.clear();
    expect(window.entries()).to.deep.equal([]);
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
    expect(window.map(wire(0, 2), file.dup())).to.equal(0);
  });

  it('refuses everything once disposed', () => {
    const window = make();
    window[Symbol.dispose]();
    expect(window.map(wire(0, 1), memfd(1))).to.equal(-EINVAL);
    expect(window.unmap(wire(0, 1))).to.equal(-EINVAL);
    expect(window.read(0, new Uint8Array(1))).to.equal(-EBADF);
    expect(window.write(0, new Uint8Array(1))).to.equal(-EBADF);
    window.clear();
    expect(window.entries()).to.deep.equal([]);
  });

  it('logs what it refuses', () => {
    const lines: [string, unknown][] = [];
    const log: Logger = { ...silentLogger, warn: (message, fields) => void lines.push([message, fields]) };
    using window = make({ log });
    window.unmap(wire(5, 1));
    expect(lines).to.deep.equal([
      [
        'window: unmap refused',
        { shmid: 3, shmOffset: 5 * PAGE, len: PAGE, fdOffset: 0, writable: true, error: -ENOENT },
      ],
    ]);
  });

  it('throws for a size that cannot be, without a leak', () => {
    const code = (size: number, slices: Sys = sys) => {
      try {
        make({ size }, slices);
      } catch (error) {
        return (error as ShmRegionError).code;
      }
      return 'made';
    };
    expect(code(0)).to.equal('ERR_SHM_SIZE');
    expect(code(PAGE + 1)).to.equal('ERR_SHM_SIZE');
    expect(code(2 ** 52)).to.equal('ERR_SHM_RESERVE');
    const mock = mockSys();
    for (const skip of [0, 1]) {
      mock.failNext('mem.mmap', ENOMEM, 1, skip);
      expect(code(PAGE, mock)).to.equal('ERR_SHM_RESERVE');
    }
    expect(mock.count('mem.munmap')).to.equal(1);
  });
});
