import { readFileSync } from 'node:fs';
import {
  type FaultVerdict,
  type UnmappedPolicy,
  Window,
  type WindowFault,
  type WindowOptions,
  type WireMapping,
} from '@oriel/shm-region';
import { check, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, Fd, MFD_CLOEXEC, openSys, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';

const sys = openSys();
const PAGE = sys.mem.pageSize;
const PAGES = 16;

function memfd(pages: number, byte = 0x11): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('policy-test', MFD_CLOEXEC), 'memfd_create'));
  check(sys.fd.pwrite(fd.fd, new Uint8Array(pages * PAGE).fill(byte), pages * PAGE, 0), 'pwrite');
  return fd;
}

function make(unmapped: UnmappedPolicy, more: Partial<WindowOptions> = {}, slices: Sys = sys) {
  const faults: WindowFault[] = [];
  const onFault = (fault: WindowFault) => void faults.push(fault);
  const window = new Window(slices, { shmid: 0, size: PAGES * PAGE, unmapped, onFault, ...more });
  return { window, faults };
}

function wire(page: number, pages: number, more: Partial<WireMapping> = {}): WireMapping {
  return { shmid: 0, shmOffset: page * PAGE, len: pages * PAGE, fdOffset: 0, writable: true, ...more };
}

/** A byte of the window, or the errno. */
function read(window: Window, at: number): number {
  const byte = new Uint8Array(1);
  const result = window.read(at, byte);
  return result < 0 ? result : byte[0]!;
}

function write(window: Window, at: number, byte: number): number {
  return window.write(at, Uint8Array.of(byte));
}

/** The protection of a page of the window, as the kernel tells it. */
function protection(window: Window, page: number): string {
  const at = window.addr + page * PAGE;
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const [range = '', flags = ''] = line.split(' ');
    const [start = 0, end = 0] = range.split('-').map((text) => Number.parseInt(text, 16));
    if (at >= start && at < end) {
      return flags;
    }
  }
  return 'hole';
}

describe('the unmapped parts of a Window', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const kinds: [UnmappedPolicy, Partial<WindowOptions>, string][] = [
    ['fault', {}, '---p'],
    ['inject', {}, '---p'],
    ['zero-ro', {}, 'r--p'],
    ['discard', { discardMeans: 'slots' }, 'r--p'],
    ['discard', { discardMeans: 'wiping' }, 'rw-p'],
    ['private', {}, 'rw-p'],
  ];
  for (const [policy, more, flags] of kinds) {
    it(`${policy} ${more.discardMeans ?? ''}: the pages before a map, after an unmap and after a clear`, () => {
      const { window } = make(policy, more);
      expect(protection(window, 3)).to.equal(flags);
      expect(window.map(wire(3, 2), memfd(2))).to.equal(0);
      expect(protection(window, 3)).to.equal('rw-s');
      expect(window.unmap(wire(3, 2))).to.equal(0);
      expect(protection(window, 3)).to.equal(flags);
      window.map(wire(3, 2), memfd(2));
      window.clear();
      expect(protection(window, 3)).to.equal(flags);
      window[Symbol.dispose]();
      expect(protection(window, 3)).to.equal('hole');
    });
  }

  it('is one of those that there are', () => {
    expect(() => make('none' as UnmappedPolicy)).to.throw(RangeError);
  });

  it('zero-ro: reads give zeros, writes -EFAULT', () => {
    const { window, faults } = make('zero-ro');
    using _ = window;
    expect(read(window, 5)).to.equal(0);
    expect(write(window, 5, 1)).to.equal(-EFAULT);
    expect(faults).to.deep.equal([
      { by: 'process', cause: 'unmapped', shmOffset: 5, write: true, verdict: 'stop' satisfies FaultVerdict },
    ]);
  });

  it('private: what was stored stays in its range, and is gone after a map, an unmap, a clear or a wipe', () => {
    const { window } = make('private');
    using _ = window;
    using file = memfd(1);
    const store = () => {
      expect(write(window, 0, 7)).to.equal(1);
      expect(write(window, PAGE, 8)).to.equal(1);
      expect([read(window, 0), read(window, PAGE), read(window, 2 * PAGE)]).to.deep.equal([7, 8, 0]);
    };
    store();
    window.map(wire(0, 1), file.dup());
    expect([read(window, 0), read(window, PAGE)]).to.deep.equal([0x11, 8]);
    window.unmap(wire(0, 1));
    expect([read(window, 0), read(window, PAGE)]).to.deep.equal([0, 8]);
    store();
    window.clear();
    expect([read(window, 0), read(window, PAGE)]).to.deep.equal([0, 0]);
    store();
    window.wipe();
    expect([read(window, 0), read(window, PAGE)]).to.deep.equal([0, 0]);
    const byte = new Uint8Array(1);
    sys.fd.pread(file.fd, byte, 1, 0);
    expect(byte[0], 'the file').to.equal(0x11);
  });

  for (const discardMeans of ['slots', 'wiping'] as const) {
    it(`discard by ${discardMeans}: writes succeed and vanish, around mappings and across their edges`, () => {
      const { window } = make('discard', { discardMeans });
      using _ = window;
      using file = memfd(2);
      expect(window.map(wire(2, 2), file.dup())).to.equal(0);
      const long = new Uint8Array(PAGES * PAGE).fill(0x22);
      expect(window.write(0, long)).to.equal(long.length);
      const all = new Uint8Array(PAGES * PAGE);
      expect(window.read(0, all)).to.equal(all.length);
      const values = Array.from({ length: PAGES }, (_, page) => all[page * PAGE + 17]);
      expect(values).to.deep.equal([0, 0, 0x22, 0x22, ...new Array(12).fill(0)]);
    });
  }

  it('discard by wiping: a store of the process stays until the wipe, which spares mappings', () => {
    const { window } = make('discard');
    using _ = window;
    using file = memfd(1);
    window.map(wire(1, 1), file.dup());
    const bytes = new Uint8Array(sys.mem.view(window.addr, 2 * PAGE));
    bytes[0] = 9;
    bytes[PAGE] = 9;
    expect(read(window, 0)).to.equal(9);
    window.wipe();
    expect([read(window, 0), read(window, PAGE)]).to.deep.equal([0, 9]);
    sys.mem.detach(bytes.buffer);
  });

  describe('where a file was truncated', () => {
    const outcomes: [UnmappedPolicy, number, number, FaultVerdict, FaultVerdict][] = [
      ['fault', -EFAULT, -EFAULT, 'stop', 'stop'],
      ['inject', -EFAULT, -EFAULT, 'inject', 'inject'],
      ['zero-ro', 0, -EFAULT, 'retry', 'stop'],
      ['discard', 0, 1, 'retry', 'drop'],
      ['private', 0, 1, 'retry', 'retry'],
    ];
    for (const [policy, readResult, writeResult, load, store] of outcomes) {
      it(`${policy}: own accesses and those of a guest`, () => {
        for (const [write_, result, verdict] of [
          [false, readResult, load],
          [true, writeResult, store],
        ] as const) {
          const { window, faults } = make(policy, { discardMeans: 'slots' });
          using _ = window;
          using file = memfd(8);
          window.map(wire(1, 8), file.dup());
          check(sys.file.ftruncate(file.fd, 3 * PAGE), 'ftruncate');
          const at = 6 * PAGE + 12;
          expect(window.guestFault(at, write_)).to.equal(verdict);
          expect(faults[0]).to.deep.equal({ by: 'guest', cause: 'truncated', shmOffset: at, write: write_, verdict });
          expect(write_ ? write(window, at, 1) : read(window, at)).to.equal(result);
          const mended = policy === 'fault' || policy === 'inject' ? 0 : 5 * PAGE;
          expect(window.entries()[0]?.lost).to.equal(mended);
          expect(read(window, 3 * PAGE), 'what the file keeps').to.equal(0x11);
          expect(window.unmap(wire(1, 8))).to.equal(0);
        }
      });
    }

    it('a page that came back with the file works again under `fault`, and stays lost elsewhere', () => {
      for (const [policy, expected] of [
        ['fault', 0],
        ['zero-ro', 0],
      ] as const) {
        const { window } = make(policy);
        using _ = window;
        using file = memfd(2);
        window.map(wire(0, 2), file.dup());
        check(sys.file.ftruncate(file.fd, PAGE), 'ftruncate');
        window.guestFault(PAGE, false);
        check(sys.fd.pwrite(file.fd, new Uint8Array(PAGE).fill(0x33), PAGE, PAGE), 'pwrite');
        expect(read(window, PAGE)).to.equal(policy === 'fault' ? 0x33 : expected);
        window.unmap(wire(0, 2));
        window.map(wire(0, 2), file.dup());
        expect(read(window, PAGE), 'mapped again').to.equal(0x33);
      }
    });

    it('an access whose place nobody knows mends every file, once', () => {
      const { window, faults } = make('private');
      using _ = window;
      using short = memfd(4);
      using whole = memfd(2);
      window.map(wire(0, 4), short.dup());
      window.map(wire(8, 2), whole.dup());
      expect(window.guestFault(null, null)).to.equal('stop');
      check(sys.file.ftruncate(short.fd, 0), 'ftruncate');
      expect(window.guestFault(null, null)).to.equal('retry');
      expect(window.entries().map(({ lost }) => lost / PAGE)).to.deep.equal([4, 0]);
      expect(window.guestFault(null, null)).to.equal('stop');
      expect(faults.map(({ cause, verdict }) => `${cause} ${verdict}`)).to.deep.equal([
        'unknown stop',
        'truncated retry',
        'unknown stop',
      ]);
      window.wipe();
      expect(read(window, 0)).to.equal(0);
    });

    it('is not confused by a page that cannot be replaced', () => {
      const mock = mockSys();
      const { window } = make('private', {}, mock);
      using _ = window;
      using file = memfd(2);
      window.map(wire(0, 2), file.dup());
      check(sys.file.ftruncate(file.fd, PAGE), 'ftruncate');
      mock.failNext('mem.mmap', ENOMEM);
      expect(read(window, PAGE)).to.equal(-EFAULT);
      expect(window.entries()[0]?.lost).to.equal(0);
      expect(read(window, PAGE)).to.equal(0);
    });
  });

  it('decides of stores to a read-only mapping', () => {
    const verdicts: [UnmappedPolicy, FaultVerdict][] = [
      ['fault', 'stop'],
      ['zero-ro', 'stop'],
      ['private', 'stop'],
      ['inject', 'inject'],
      ['discard', 'drop'],
    ];
    for (const [policy, verdict] of verdicts) {
      const { window, faults } = make(policy);
      using _ = window;
      window.map(wire(0, 1, { writable: false }), memfd(1));
      expect(window.guestFault(8, true), policy).to.equal(verdict);
      expect(window.guestFault(0, null), 'with an address only').to.equal(verdict);
      expect(window.guestFault(0, false), 'a load that came before the map').to.equal('retry');
      expect(faults.map(({ cause }) => cause)).to.deep.equal(['read-only', 'read-only']);
      expect(write(window, 0, 1)).to.equal(policy === 'discard' ? 1 : -EFAULT);
      expect(read(window, 0)).to.equal(0x11);
    }
  });

  it('refuses a fault outside, and after the end', () => {
    const { window } = make('private');
    for (const offset of [-1, 0.5, PAGES * PAGE, Number.NaN, 2 ** 60]) {
      expect(window.guestFault(offset, false)).to.equal('stop');
    }
    window[Symbol.dispose]();
    expect(window.guestFault(0, false)).to.equal('stop');
    window.wipe();
  });

  describe('one system call', () => {
    it('for a map, a replacement, an unmap and a clear', () => {
      const mock = mockSys();
      const { window } = make('private', { overlap: 'replace' }, mock);
      using _ = window;
      const calls = (act: () => unknown) => {
        const before = mock.calls.filter(({ name }) => name.startsWith('mem.')).length;
        act();
        return mock.calls.slice().filter(({ name }) => name.startsWith('mem.')).length - before;
      };
      using file = memfd(2);
      const copies = [file.dup(), file.dup()];
      expect(calls(() => window.map(wire(0, 2), copies[0]!))).to.equal(1);
      expect(calls(() => window.map(wire(0, 2), copies[1]!))).to.equal(1);
      expect(calls(() => window.unmap(wire(0, 2)))).to.equal(1);
      expect(calls(() => window.clear())).to.equal(1);
    });
  });

  describe('replacement', () => {
    it('puts another file over an equal range only', () => {
      const { window } = make('fault', { overlap: 'replace' });
      using _ = window;
      expect(window.map(wire(2, 2), memfd(2, 1))).to.equal(0);
      expect(window.map(wire(2, 2, { writable: false }), memfd(2, 2))).to.equal(0);
      expect(read(window, 2 * PAGE)).to.equal(2);
      expect(write(window, 2 * PAGE, 9)).to.equal(-EFAULT);
      expect(window.entries()).to.have.length(1);
      for (const [page, pages] of [
        [2, 1],
        [1, 3],
        [3, 2],
      ] as const) {
        expect(window.map(wire(page, pages), memfd(4))).to.equal(-EEXIST);
      }
    });

    it('counts no mapping more', () => {
      const { window } = make('fault', { overlap: 'replace', maxMappings: 1 });
      using _ = window;
      expect(window.map(wire(0, 1), memfd(1, 1))).to.equal(0);
      expect(window.map(wire(0, 1), memfd(1, 2))).to.equal(0);
    });

    it('keeps the old mapping when the kernel refuses and has not touched it', () => {
      const mock = mockSys();
      const { window } = make('zero-ro', { overlap: 'replace' }, mock);
      using _ = window;
      window.map(wire(0, 1), memfd(1, 1));
      mock.failNext('mem.mmap', ENOMEM);
      expect(window.map(wire(0, 1), memfd(1, 2))).to.equal(-ENOMEM);
      expect(read(window, 0)).to.equal(1);
      expect(window.entries()).to.have.length(1);
    });

    it('has unmapped pages where the kernel has unmapped before it refused', () => {
      let fail = false;
      const mmap: Sys['mem']['mmap'] = (addr, len, prot, flags, fd, offset) => {
        if (!fail || fd < 0) {
          return sys.mem.mmap(addr, len, prot, flags, fd, offset);
        }
        check(sys.mem.munmap(addr, len), 'munmap');
        return -ENOMEM;
      };
      const { window } = make('zero-ro', { overlap: 'replace' }, mockSys({ mem: { mmap } }));
      using _ = window;
      window.map(wire(0, 1), memfd(1, 1));
      fail = true;
      expect(window.map(wire(0, 1), memfd(1, 2))).to.equal(-ENOMEM);
      expect(read(window, 0)).to.equal(0);
      expect(window.entries()).to.have.length(0);
    });
  });

  describe("unmap: 'range'", () => {
    it('takes all whole mappings of a range, and refuses to cut one', () => {
      const { window } = make('zero-ro', { unmap: 'range' });
      using _ = window;
      window.map(wire(1, 2), memfd(2));
      window.map(wire(3, 1), memfd(1));
      window.map(wire(8, 2), memfd(2));
      expect(window.gaps().map(({ shmOffset, len }) => [shmOffset / PAGE, len / PAGE])).to.deep.equal([
        [0, 1],
        [4, 4],
        [10, 6],
      ]);
      expect(window.unmap(wire(2, 3))).to.equal(-ENOENT);
      expect(window.unmap(wire(8, 1))).to.equal(-ENOENT);
      expect(window.unmap(wire(5, 2))).to.equal(-ENOENT);
      expect(window.unmap(wire(0, 17))).to.equal(-EINVAL);
      expect(window.unmap(wire(0, 6))).to.equal(0);
      expect(window.entries().map(({ shmOffset }) => shmOffset / PAGE)).to.deep.equal([8]);
      expect(read(window, PAGE)).to.equal(0);
    });
  });
});
