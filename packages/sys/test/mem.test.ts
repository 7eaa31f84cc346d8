import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  check,
  EBADF,
  EFAULT,
  EINVAL,
  EPERM,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  Fd,
  MADV_DONTNEED,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  openSys,
  PROT_READ,
  PROT_WRITE,
  SysError,
} from '../src/index.ts';
import { copyByFile } from '../src/koffi/copy-by-file.ts';
import { checkLeaks } from './leaks.ts';

const { mem, fd: fds, file } = openSys();

/** A memfd of `len` bytes. */
function memfd(len: number, flags = MFD_CLOEXEC): Fd {
  const fd = new Fd(fds, check(mem.memfdCreate('mem-test', flags), 'memfd_create'));
  check(file.ftruncate(fd.fd, len), 'ftruncate');
  return fd;
}

describe('mem: mappings', () => {
  checkLeaks();

  it('answers mmap failures with a negative errno', () => {
    expect(mem.mmap(0, 0, PROT_READ, 0x22, -1, 0)).to.equal(-EINVAL);
    expect(mem.mmap(0, 4096, PROT_READ, 1, 9999, 0)).to.equal(-EBADF);
    expect(mem.munmap(1, 4096)).to.equal(-EINVAL);
    expect(mem.madvise(1, 4096, 0)).to.equal(-EINVAL);
  });

  it('drops pages on MADV_DONTNEED', () => {
    using mapping = Mapping.anonymous(mem, 4096);
    mapping.u8[5] = 5;
    expect(mem.madvise(mapping.addr, 4096, MADV_DONTNEED)).to.equal(0);
    expect(mapping.u8[5]).to.equal(0);
  });

  it('knows the page size', () => {
    expect([4096, 16384, 65536]).to.include(mem.pageSize);
  });
});

describe('mem: seals', () => {
  checkLeaks();

  it('are added and read back', () => {
    using fd = memfd(4096, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    expect(mem.getSeals(fd.fd)).to.equal(0);
    expect(mem.addSeals(fd.fd, F_SEAL_SHRINK | F_SEAL_GROW)).to.equal(0);
    expect(mem.getSeals(fd.fd)).to.equal(F_SEAL_SHRINK | F_SEAL_GROW);
    expect(file.ftruncate(fd.fd, 0)).to.equal(-EPERM);
  });

  it('cannot be had on a pipe-like descriptor', () => {
    const pair = new Int32Array(2);
    check(openSys().socket.socketpair(pair), 'socketpair');
    expect(mem.getSeals(pair[0]!)).to.equal(-EINVAL);
    fds.close(pair[0]!);
    fds.close(pair[1]!);
  });

  it('refuses a memfd name with a NUL', () => {
    expect(mem.memfdCreate('a\0b', MFD_CLOEXEC)).to.equal(-EINVAL);
  });
});

describe('mem: views', () => {
  checkLeaks();

  it('refuses what koffi would abort on', () => {
    for (const [addr, len] of [
      [0, 4096],
      [-4096, 4096],
      [4096, 0],
      [4096, -1],
      [4096.5, 16],
      [2 ** 47, 1],
      [4096, 2 ** 47],
      [Number.NaN, 1],
    ] as const) {
      expect(() => mem.view(addr, len), `${addr} ${len}`)
        .to.throw(SysError)
        .with.property('code', 'EINVAL');
    }
  });

  it('see one memory twice, and end by detach', () => {
    using mapping = Mapping.anonymous(mem, 8192);
    const first = mem.view(mapping.addr, 8192);
    const second = mem.view(mapping.addr + 4096, 4096);
    const a = new Uint32Array(first);
    const b = new Uint32Array(second);
    Atomics.store(a, 1024, 0xdead);
    expect(Atomics.load(b, 0)).to.equal(0xdead);
    mem.detach(first);
    mem.detach(first);
    expect(a.length).to.equal(0);
    expect(b.length).to.equal(1024);
    mem.detach(second);
    expect(b.length).to.equal(0);
  });
});

const ways = { 'mem: copyChecked': mem.copyChecked, 'mem: copyChecked without process_vm_readv': copyByFile };
for (const [title, copy] of Object.entries(ways))
  describe(title, () => {
    checkLeaks();

    it('copies across a long range', () => {
      using from = Mapping.anonymous(mem, 3 << 20);
      using to = Mapping.anonymous(mem, 3 << 20);
      for (let index = 0; index < from.len; index += 4096) {
        from.u8[index] = (index >> 12) & 0xff;
      }
      expect(copy(to.addr, from.addr, from.len)).to.equal(from.len);
      expect(Buffer.compare(from.u8, to.u8)).to.equal(0);
      expect(copy(to.addr, from.addr, 0)).to.equal(0);
    });

    it('answers -EFAULT for addresses that are not mapped', () => {
      using mapping = Mapping.anonymous(mem, 4096);
      expect(copy(mapping.addr, 64, 16)).to.equal(-EFAULT);
      expect(copy(64, mapping.addr, 16)).to.equal(-EFAULT);
    });

    it('answers -EFAULT for a truncated file, on either side, and kills nothing', () => {
      using fd = memfd(8192);
      using window = Mapping.shared(mem, fd.fd, 8192, 0, PROT_READ | PROT_WRITE);
      using scratch = Mapping.anonymous(mem, 8192);
      check(file.ftruncate(fd.fd, 4096), 'ftruncate');
      expect(copy(scratch.addr, window.addr + 4096, 16)).to.equal(-EFAULT);
      expect(copy(window.addr + 4096, scratch.addr, 16)).to.equal(-EFAULT);
      expect(copy(scratch.addr, window.addr, 8192)).to.be.oneOf([4096, -EFAULT]);
    });

    it('answers -EFAULT where the memory may not be written', () => {
      using fd = memfd(4096);
      using readOnly = Mapping.shared(mem, fd.fd, 4096, 0, PROT_READ);
      using scratch = Mapping.anonymous(mem, 4096);
      expect(copy(readOnly.addr, scratch.addr, 16)).to.equal(-EFAULT);
    });
  });
