import { check, EACCES, EBADF, ENOENT, ENOMEM, EPERM, F_SEAL_WRITE, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { layout, make, memfd, sys, wire } from './window-helpers.ts';

describe('Window, where the kernel refuses', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

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
});
