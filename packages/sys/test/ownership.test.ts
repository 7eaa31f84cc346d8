import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  check,
  EBADF,
  EINVAL,
  F_GETFD,
  FD_CLOEXEC,
  Fd,
  Mapping,
  MFD_CLOEXEC,
  openSys,
  PROT_READ,
  PROT_WRITE,
  SysError,
} from '../src/index.ts';
import { leakCheck, mockSys } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();

const newMemfd = () => check(sys.mem.memfdCreate('owned', MFD_CLOEXEC), 'memfd_create');

describe('Fd', () => {
  checkLeaks();

  it('closes its descriptor once', () => {
    const fd = new Fd(sys.fd, newMemfd());
    const number = fd.fd;
    expect(fd.closed).to.equal(false);
    fd.close();
    fd.close();
    fd[Symbol.dispose]();
    expect(fd.closed).to.equal(true);
    expect(sys.fd.fcntl(number, F_GETFD, 0)).to.equal(-EBADF);
    expect(() => fd.fd).to.throw(RangeError);
    expect(() => fd.take()).to.throw(RangeError);
    expect(() => fd.dup()).to.throw(RangeError);
  });

  it('gives its descriptor away', () => {
    const fd = new Fd(sys.fd, newMemfd());
    const number = fd.take();
    fd.close();
    expect(fd.closed).to.equal(true);
    expect(sys.fd.fcntl(number, F_GETFD, 0)).to.equal(FD_CLOEXEC);
    sys.fd.close(number);
  });

  it('duplicates into a second owner', () => {
    using first = new Fd(sys.fd, newMemfd());
    using second = first.dup();
    expect(second.fd).to.not.equal(first.fd);
    first.close();
    expect(sys.fd.fcntl(second.fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
  });

  it('refuses what is no descriptor', () => {
    for (const bad of [-1, -EBADF, 1.5, Number.NaN]) {
      expect(() => new Fd(sys.fd, bad)).to.throw(RangeError);
    }
  });

  it('tells of a descriptor that somebody else closed', () => {
    const fd = new Fd(sys.fd, newMemfd());
    sys.fd.close(fd.fd);
    expect(() => fd.close())
      .to.throw(SysError)
      .with.property('code', 'EBADF');
    expect(fd.closed).to.equal(true);
  });

  it('takes other errors of close for what they are: closed', () => {
    const mock = mockSys();
    const fd = new Fd(mock.fd, newMemfd());
    const number = fd.fd;
    mock.failNext('fd.close', 5);
    fd.close();
    expect(fd.closed).to.equal(true);
    sys.fd.close(number);
  });
});

describe('Mapping', () => {
  checkLeaks();

  it('is zeroed memory that can be written', () => {
    using mapping = Mapping.anonymous(sys.mem, 10_000);
    expect(mapping.len).to.equal(10_000);
    expect(mapping.addr % sys.mem.pageSize).to.equal(0);
    expect(mapping.u8.length).to.equal(10_000);
    expect(mapping.u8.every((byte) => byte === 0)).to.equal(true);
    expect(mapping.u8).to.equal(mapping.u8);
  });

  it('shares a file with another mapping of it', () => {
    using fd = new Fd(sys.fd, newMemfd());
    check(sys.file.ftruncate(fd.fd, 8192), 'ftruncate');
    using whole = Mapping.shared(sys.mem, fd.fd, 8192, 0, PROT_READ | PROT_WRITE);
    using second = Mapping.shared(sys.mem, fd.fd, 4096, 4096, PROT_READ);
    whole.u8[4096] = 77;
    expect(second.u8[0]).to.equal(77);
  });

  it('detaches its views when disposed, so that a stale one is empty', () => {
    const mapping = Mapping.anonymous(sys.mem, 4096);
    const stale = mapping.u8;
    const window = new DataView(stale.buffer, 8, 16);
    stale[0] = 1;
    mapping[Symbol.dispose]();
    mapping[Symbol.dispose]();
    expect(stale.length).to.equal(0);
    expect(stale[0]).to.equal(undefined);
    expect(() => window.getUint8(0)).to.throw(TypeError);
    expect(() => mapping.addr).to.throw(RangeError);
    expect(() => mapping.u8).to.throw(RangeError);
  });

  it('throws what mmap answers', () => {
    expect(() => Mapping.anonymous(sys.mem, 0))
      .to.throw(SysError)
      .with.property('errno', EINVAL);
    expect(() => Mapping.shared(sys.mem, -1, 4096, 0, PROT_READ))
      .to.throw(SysError)
      .with.property('errno', EBADF);
  });
});

describe('leakCheck', () => {
  checkLeaks();

  it('names a descriptor left open', () => {
    const inner = leakCheck();
    const fd = check(sys.mem.memfdCreate('forgotten', MFD_CLOEXEC), 'memfd_create');
    expect(() => inner.check()).to.throw(`fd ${fd} -> /memfd:forgotten`);
    sys.fd.close(fd);
    inner.check();
  });

  it('names a file mapping and counts anonymous ones', () => {
    const inner = leakCheck();
    const fd = newMemfd();
    check(sys.file.ftruncate(fd, 4096), 'ftruncate');
    const file = Mapping.shared(sys.mem, fd, 4096, 0, PROT_READ);
    sys.fd.close(fd);
    const scratch = Mapping.anonymous(sys.mem, 4096);
    expect(() => inner.check()).to.throw(/1 mapping\(s\) of \/memfd:owned.*2 Mapping object/);
    file[Symbol.dispose]();
    scratch[Symbol.dispose]();
    inner.check();
  });
});
