import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  check,
  EAGAIN,
  EBADF,
  EFAULT,
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  Fd,
  Mapping,
  MFD_CLOEXEC,
  O_NONBLOCK,
  openSys,
} from '../src/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();

const memfd = () => new Fd(sys.fd, check(sys.mem.memfdCreate('fd-test', MFD_CLOEXEC), 'memfd_create'));

describe('fd', () => {
  checkLeaks();

  it('reads and writes by view and by address, at a position or not', () => {
    using fd = memfd();
    using memory = Mapping.anonymous(sys.mem, 4096);
    expect(sys.fd.write(fd.fd, Uint8Array.of(1, 2, 3, 4), 4)).to.equal(4);
    expect(sys.fd.pwrite(fd.fd, new Uint8Array([9, 9, 7]).subarray(2), 1, 1)).to.equal(1);
    expect(sys.fd.pread(fd.fd, memory.addr + 100, 10, 0)).to.equal(4);
    expect([...memory.u8.subarray(100, 105)]).to.deep.equal([1, 7, 3, 4, 0]);
    const back = new DataView(new ArrayBuffer(8));
    expect(sys.fd.pread(fd.fd, back, 2, 2)).to.equal(2);
    expect(back.getUint16(0)).to.equal(0x0304);
    expect(sys.fd.read(fd.fd, back, 8)).to.equal(0);
  });

  it('makes pipes whose ends wait and are closed on exec', () => {
    const ends = new Int32Array(2);
    check(sys.fd.pipe(ends), 'pipe2');
    using reader = new Fd(sys.fd, ends[0]!);
    const writer = new Fd(sys.fd, ends[1]!);
    for (const { fd } of [reader, writer]) {
      expect(sys.fd.fcntl(fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
      expect(sys.fd.fcntl(fd, F_GETFL, 0) & O_NONBLOCK).to.equal(0);
    }
    expect(sys.fd.write(writer.fd, Uint8Array.of(5, 6), 2)).to.equal(2);
    writer.close();
    const bytes = new Uint8Array(4);
    expect([sys.fd.read(reader.fd, bytes, 4), sys.fd.read(reader.fd, bytes, 4)]).to.deep.equal([2, 0]);
    expect([...bytes]).to.deep.equal([5, 6, 0, 0]);
  });

  it('reaches offsets above 4 GiB', () => {
    using fd = memfd();
    const far = 2 ** 40 + 3;
    expect(sys.fd.pwrite(fd.fd, Uint8Array.of(42), 1, far)).to.equal(1);
    const byte = new Uint8Array(1);
    expect(sys.fd.pread(fd.fd, byte, 1, far)).to.equal(1);
    expect(byte[0]).to.equal(42);
  });

  it('answers with negative error numbers', () => {
    using fd = memfd();
    expect(sys.fd.close(99_999)).to.equal(-EBADF);
    expect(sys.fd.dup(99_999)).to.equal(-EBADF);
    expect(sys.fd.read(99_999, new Uint8Array(1), 1)).to.equal(-EBADF);
    expect(sys.fd.write(fd.fd, 8, 4096)).to.equal(-EFAULT);
    expect(sys.fd.setNonBlocking(99_999, true)).to.equal(-EBADF);
    expect(sys.fd.setCloexec(99_999, true)).to.equal(-EBADF);
    expect(sys.fd.fcntl(99_999, F_GETFD, 0)).to.equal(-EBADF);
  });

  it('duplicates with CLOEXEC', () => {
    using fd = memfd();
    using copy = new Fd(sys.fd, check(sys.fd.dup(fd.fd), 'dup'));
    expect(copy.fd).to.be.at.least(3);
    expect(sys.fd.fcntl(copy.fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
  });

  it('sets and clears flags', () => {
    using fd = memfd();
    expect(sys.fd.setNonBlocking(fd.fd, true)).to.equal(0);
    expect(sys.fd.fcntl(fd.fd, F_GETFL, 0) & O_NONBLOCK).to.equal(O_NONBLOCK);
    expect(sys.fd.setNonBlocking(fd.fd, false)).to.equal(0);
    expect(sys.fd.fcntl(fd.fd, F_GETFL, 0) & O_NONBLOCK).to.equal(0);
    expect(sys.fd.setCloexec(fd.fd, false)).to.equal(0);
    expect(sys.fd.fcntl(fd.fd, F_GETFD, 0)).to.equal(0);
    expect(sys.fd.setCloexec(fd.fd, true)).to.equal(0);
    expect(sys.fd.fcntl(fd.fd, F_GETFD, 0)).to.equal(FD_CLOEXEC);
  });

  it('says EAGAIN on an empty eventfd', () => {
    using event = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    expect(sys.fd.read(event.fd, new Uint8Array(8), 8)).to.equal(-EAGAIN);
  });
});
