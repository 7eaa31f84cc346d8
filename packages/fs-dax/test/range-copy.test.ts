import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EIO, ENOSPC, Fd, Mapping, O_RDWR, openSys, PROT_READ, PROT_WRITE, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { RangeCopy } from '../src/dax/range-copy.ts';

const real = openSys();
const LEN = 2 << 20;
const SMALL = 128 * 1024;

describe('RangeCopy', () => {
  let leaks: LeakCheck;
  let dir: TempDir;
  let path: string;
  beforeEach(() => {
    leaks = leakCheck();
    dir = tempDir();
    path = join(dir.path, 'file');
  });
  afterEach(() => {
    dir[Symbol.dispose]();
    leaks.check();
  });

  const open = (): Fd => new Fd(real.fd, real.file.openat(-100, Buffer.from(`${path}\0`), O_RDWR, 0));
  const guestOf = (copy: RangeCopy, len: number): Mapping =>
    Mapping.shared(real.mem, copy.memfd.fd, len, 0, PROT_READ | PROT_WRITE);
  const count = (mock: ReturnType<typeof mockSys>): number => mock.count('fd.pwrite');

  it('writes back only bytes that the guest changed, up to the end of the file', () => {
    writeFileSync(path, Buffer.alloc(10_000, 'a'));
    using file = open();
    using copy = new RangeCopy(real, 0, LEN);
    expect(copy.load(file.fd)).to.equal(0);
    using guest = guestOf(copy, LEN);
    expect([guest.u8[9_999], guest.u8[10_000]]).to.deep.equal([97, 0]);
    guest.u8[9_998] = 98;
    guest.u8[10_001] = 99; // behind the end: lost, as in any mapping
    writeFileSync(path, Buffer.concat([Buffer.from('HOST'), Buffer.alloc(9_990, 'a'), Buffer.from('HOST')]));
    expect(copy.writeBack(file.fd, 9_998 + 1)).to.equal(0);
    const now = readFileSync(path);
    expect([now.toString('latin1', 0, 4), now.toString('latin1', 9_993)]).to.deep.equal(['HOST', 'aHOSTb']);
  });

  it('writes a store once', () => {
    writeFileSync(path, Buffer.alloc(10_000));
    const mock = mockSys();
    using file = open();
    using copy = new RangeCopy(mock, 0, LEN);
    copy.load(file.fd);
    using guest = guestOf(copy, LEN);
    guest.u8.fill(1, 0, 5000);
    for (let i = 0; i < 3; i++) expect(copy.writeBack(file.fd, 10_000)).to.equal(0);
    expect(count(mock), 'one for each page').to.equal(2);
  });

  it('does not lose a store that comes while it writes', () => {
    writeFileSync(path, Buffer.alloc(10_000));
    let guest: Mapping | null = null;
    const pwrite: Sys['fd']['pwrite'] = (...args) => {
      guest!.u8[50] = 2; // another vCPU
      return real.fd.pwrite(...args);
    };
    using file = open();
    using copy = new RangeCopy({ ...real, fd: { ...real.fd, pwrite } }, 0, LEN);
    copy.load(file.fd);
    using memory = guestOf(copy, LEN);
    guest = memory;
    memory.u8.fill(1, 0, 100);
    copy.writeBack(file.fd, 10_000);
    expect(copy.writeBack(file.fd, 10_000)).to.equal(0);
    expect(readFileSync(path)[50]).to.equal(2);
  });

  it('bounds the writes of a page that the guest changed in many places', () => {
    writeFileSync(path, Buffer.alloc(4096));
    const mock = mockSys();
    using file = open();
    using copy = new RangeCopy(mock, 0, LEN);
    copy.load(file.fd);
    using guest = guestOf(copy, LEN);
    for (let i = 0; i < 4096; i += 2) guest.u8[i] = 1;
    expect(copy.writeBack(file.fd, 4096)).to.equal(0);
    expect(count(mock)).to.equal(64);
    expect(readFileSync(path).every((byte, index) => byte === (index % 2 === 0 ? 1 : 0))).to.equal(true);
  });

  it('goes on after short writes, and keeps what could not be written', () => {
    writeFileSync(path, Buffer.alloc(4096));
    let failing = -ENOSPC;
    const pwrite: Sys['fd']['pwrite'] = (fd, from, len, offset) =>
      len > 10 ? real.fd.pwrite(fd, from, 10, offset) : failing;
    using file = open();
    using copy = new RangeCopy({ ...real, fd: { ...real.fd, pwrite } }, 0, LEN);
    copy.load(file.fd);
    using guest = guestOf(copy, LEN);
    guest.u8.fill(7, 0, 15);
    expect(copy.writeBack(file.fd, 4096)).to.equal(-ENOSPC);
    failing = 0;
    expect(copy.writeBack(file.fd, 4096)).to.equal(-EIO);
    expect(readFileSync(path).subarray(0, 16).toString('hex')).to.equal(`${'07'.repeat(10)}${'00'.repeat(6)}`);
  });

  it('tells of a file that cannot be read, and stays as it was', () => {
    writeFileSync(path, Buffer.alloc(4096, 'a'));
    const mock = mockSys();
    using file = open();
    using copy = new RangeCopy(mock, 0, LEN);
    copy.load(file.fd);
    mock.failNext('fd.pread', EIO);
    expect(copy.load(file.fd)).to.equal(-EIO);
    using guest = guestOf(copy, LEN);
    expect(guest.u8[4095]).to.equal(97);
  });

  it('agrees with a model of stores, writes by others, loads and write-backs', () => {
    const at = fc.nat(SMALL + 5000 - 1);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('store' as const), at, byte: fc.integer({ min: 1, max: 255 }) }),
      fc.record({ kind: fc.constant('write' as const), at, byte: fc.integer({ min: 1, max: 255 }) }),
      fc.record({ kind: fc.constantFrom('load' as const, 'extend' as const, 'back' as const) }),
    );
    fc.assert(
      fc.property(fc.nat(SMALL), fc.array(step, { maxLength: 40 }), (size, steps) => {
        writeFileSync(path, Buffer.alloc(size, 1));
        using file = open();
        using copy = new RangeCopy(real, 0, SMALL);
        copy.load(file.fd);
        using guest = guestOf(copy, SMALL);
        let known = size;
        const stored = new Map<number, number>();
        const written = new Map<number, number>();
        for (const one of steps) {
          const end = readFileSync(path).length;
          if (one.kind === 'store' && one.at < Math.min(known, SMALL) && !written.has(one.at)) {
            guest.u8[one.at] = one.byte;
            stored.set(one.at, one.byte);
          } else if (one.kind === 'write' && !stored.has(one.at)) {
            real.fd.pwrite(file.fd, Buffer.from([one.byte]), 1, one.at);
            written.set(one.at, one.byte);
          } else if (one.kind === 'back') copy.writeBack(file.fd, end);
          else if (one.kind === 'load' || one.kind === 'extend') {
            copy[one.kind](file.fd);
            known = end;
          }
        }
        copy.load(file.fd);
        const now = readFileSync(path);
        copy.writeBack(file.fd, now.length);
        const last = readFileSync(path);
        for (const [index, byte] of stored) {
          expect([guest.u8[index], last[index]]).to.deep.equal([byte, byte]);
        }
        for (const [index, byte] of written) {
          expect(last[index]).to.equal(byte);
          if (index < SMALL) expect(guest.u8[index]).to.equal(byte);
        }
      }),
      { numRuns: 60 },
    );
  });
});
