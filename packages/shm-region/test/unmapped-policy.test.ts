import type { FaultVerdict, UnmappedPolicy, WindowOptions } from '@oriel/shm-region';
import { check, EFAULT, ENOMEM } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { makeWith, memfd, PAGE, PAGES, protection, read, sys, wire, write } from './window-helpers.ts';

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
      const { window } = makeWith(policy, more);
      expect(protection(window, 3)).to.equal(flags);
      expect(window.map(wire(3, 2), memfd(2, 0x11))).to.equal(0);
      expect(protection(window, 3)).to.equal('rw-s');
      expect(window.unmap(wire(3, 2))).to.equal(0);
      expect(protection(window, 3)).to.equal(flags);
      window.map(wire(3, 2), memfd(2, 0x11));
      window.clear();
      expect(protection(window, 3)).to.equal(flags);
      window[Symbol.dispose]();
      expect(protection(window, 3)).to.equal('hole');
    });
  }

  it('is one of those that there are', () => {
    expect(() => makeWith('none' as UnmappedPolicy)).to.throw(RangeError);
  });

  it('zero-ro: reads give zeros, writes -EFAULT', () => {
    const { window, faults } = makeWith('zero-ro');
    using _ = window;
    expect(read(window, 5)).to.equal(0);
    expect(write(window, 5, 1)).to.equal(-EFAULT);
    expect(faults).to.deep.equal([
      { by: 'process', cause: 'unmapped', shmOffset: 5, write: true, verdict: 'stop' satisfies FaultVerdict },
    ]);
  });

  it('private: what was stored stays in its range, and is gone after a map, an unmap, a clear or a wipe', () => {
    const { window } = makeWith('private');
    using _ = window;
    using file = memfd(1, 0x11);
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
      const { window } = makeWith('discard', { discardMeans });
      using _ = window;
      using file = memfd(2, 0x11);
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
    const { window } = makeWith('discard');
    using _ = window;
    using file = memfd(1, 0x11);
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
          const { window, faults } = makeWith(policy, { discardMeans: 'slots' });
          using _ = window;
          using file = memfd(8, 0x11);
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
        const { window } = makeWith(policy);
        using _ = window;
        using file = memfd(2, 0x11);
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
      const { window, faults } = makeWith('private');
      using _ = window;
      using short = memfd(4, 0x11);
      using whole = memfd(2, 0x11);
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
      const { window } = makeWith('private', {}, mock);
      using _ = window;
      using file = memfd(2, 0x11);
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
      const { window, faults } = makeWith(policy);
      using _ = window;
      window.map(wire(0, 1, { writable: false }), memfd(1, 0x11));
      expect(window.guestFault(8, true), policy).to.equal(verdict);
      expect(window.guestFault(0, null), 'with an address only').to.equal(verdict);
      expect(window.guestFault(0, false), 'a load that came before the map').to.equal('retry');
      expect(faults.map(({ cause }) => cause)).to.deep.equal(['read-only', 'read-only']);
      expect(write(window, 0, 1)).to.equal(policy === 'discard' ? 1 : -EFAULT);
      expect(read(window, 0)).to.equal(0x11);
    }
  });

  it('refuses a fault outside, and after the end', () => {
    const { window } = makeWith('private');
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
      const { window } = makeWith('private', { overlap: 'replace' }, mock);
      using _ = window;
      const calls = (act: () => unknown) => {
        const before = mock.calls.filter(({ name }) => name.startsWith('mem.')).length;
        act();
        return mock.calls.slice().filter(({ name }) => name.startsWith('mem.')).length - before;
      };
      using file = memfd(2, 0x11);
      const copies = [file.dup(), file.dup()];
      expect(calls(() => window.map(wire(0, 2), copies[0]!))).to.equal(1);
      expect(calls(() => window.map(wire(0, 2), copies[1]!))).to.equal(1);
      expect(calls(() => window.unmap(wire(0, 2)))).to.equal(1);
      expect(calls(() => window.clear())).to.equal(1);
    });
  });
});
