import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ShmRegionError, Window, type WindowOptions, type WireMapping } from '@oriel/shm-region';
import {
  check,
  EACCES,
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENXIO,
  EPERM,
  F_SEAL_WRITE,
  Fd,
  type Logger,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  openSys,
  type Sys,
  silentLogger,
} from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';

const sys = openSys();
const PAGE = sys.mem.pageSize;
const PAGES = 16;

function memfd(pages: number): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('window-test', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.file.ftruncate(fd.fd, pages * PAGE), 'ftruncate');
  return fd;
}

function open(path: string, flags: number): Fd {
  return new Fd(sys.fd, check(sys.file.openat(-100, Buffer.from(`${path}\0`), flags, 0o600), 'openat'));
}

function make(options: Partial<WindowOptions> = {}, slices: Pick<Sys, 'mem' | 'fd' | 'file'> = sys): Window {
  return new Window(slices, { shmid: 3, size: PAGES * PAGE, ...options });
}

function wire(page: number, pages: number, more: Partial<WireMapping> = {}): WireMapping {
  return { shmid: 3, shmOffset: page * PAGE, len: pages * PAGE, fdOffset: 0, writable: true, ...more };
}

/** The window's address space as the kernel tells it: `first page+pages protection`, neighbours of one kind joined. */
function layout(window: Window): string[] {
  const pages: string[] = new Array(PAGES).fill('hole');
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const [range = '', protection = ''] = line.split(' ');
    const [start = 0, end = 0] = range.split('-').map((text) => Number.parseInt(text, 16));
    for (let page = 0; page < PAGES; page += 1) {
      const at = window.addr + page * PAGE;
      if (at >= start && at < end) {
        pages[page] = protection;
      }
    }
  }
  const runs: string[] = [];
  let from = 0;
  for (let page = 1; page <= PAGES; page += 1) {
    if (pages[page] !== pages[from]) {
      runs.push(`${from}+${page - from} ${pages[from]}`);
      from = page;
    }
  }
  return runs;
}

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

  it('leaves no hole when the kernel refuses a mapping', () => {
    using window = make();
    using sealed = memfd(2);
    check(sys.mem.addSeals(sealed.fd, F_SEAL_WRITE), 'fcntl');
    expect(window.map(wire(0, 2), sealed.dup())).to.equal(-EPERM);
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
    expect(window.map(wire(0, 2, { writable: false }), sealed.dup())).to.equal(0);
  });

  it('fills the hole of a kernel that unmaps before it fails', () => {
    const mmap: Sys['mem']['mmap'] = (addr, len, prot, flags, fd, offset) => {
      if (fd < 0) {
        return sys.mem.mmap(addr, len, prot, flags, fd, offset);
      }
      check(sys.mem.munmap(addr, len), 'munmap');
      return -ENOMEM;
    };
    using window = make({}, mockSys({ mem: { mmap } }));
    expect(window.map(wire(4, 2), memfd(2))).to.equal(-ENOMEM);
    expect(layout(window)).to.deep.equal(['0+16 ---p']);
    expect(window.entries()).to.deep.equal([]);
  });

  it('keeps the mapping when the kernel refuses to unmap it', () => {
    const mock = mockSys();
    using window = make({}, mock);
    expect(window.map(wire(0, 1), memfd(1))).to.equal(0);
    mock.failNext('mem.mmap', ENOMEM);
    expect(window.unmap(wire(0, 1))).to.equal(-ENOMEM);
    expect(window.entries()).to.have.length(1);
    expect(window.unmap(wire(0, 1))).to.equal(0);
  });

  it('passes on what the kernel says of a descriptor', () => {
    const mock = mockSys();
    using window = make({}, mock);
    mock.failNext('fd.fcntl', EBADF);
    expect(window.map(wire(0, 1), memfd(1))).to.equal(-EBADF);
    mock.failNext('file.statx', EACCES);
    expect(window.map(wire(0, 1), memfd(1))).to.equal(-EACCES);
    mock.failNext('file.readlinkat', ENOENT);
    expect(window.map(wire(0, 1), memfd(1))).to.equal(0);
    expect(window.entries()[0]?.file).to.match(/^fd \d+$/);
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
