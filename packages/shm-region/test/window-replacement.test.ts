import { check, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { makeWith, memfd, PAGE, read, sys, wire, write } from './window-helpers.ts';

describe('Window', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  describe('replacement', () => {
    it('puts another file over an equal range only', () => {
      const { window } = makeWith('fault', { overlap: 'replace' });
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
        expect(window.map(wire(page, pages), memfd(4, 0x11))).to.equal(-EEXIST);
      }
    });

    it('counts no mapping more', () => {
      const { window } = makeWith('fault', { overlap: 'replace', maxMappings: 1 });
      using _ = window;
      expect(window.map(wire(0, 1), memfd(1, 1))).to.equal(0);
      expect(window.map(wire(0, 1), memfd(1, 2))).to.equal(0);
    });

    it('keeps the old mapping when the kernel refuses and has not touched it', () => {
      const mock = mockSys();
      const { window } = makeWith('zero-ro', { overlap: 'replace' }, mock);
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
      const { window } = makeWith('zero-ro', { overlap: 'replace' }, mockSys({ mem: { mmap } }));
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
      const { window } = makeWith('zero-ro', { unmap: 'range' });
      using _ = window;
      window.map(wire(1, 2), memfd(2, 0x11));
      window.map(wire(3, 1), memfd(1, 0x11));
      window.map(wire(8, 2), memfd(2, 0x11));
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
