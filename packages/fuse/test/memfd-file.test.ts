import { EFBIG, EINVAL, EOPNOTSUPP, Fd, Mapping, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { type IoVector, MemfdFile } from '../src/index.ts';

const sys = openSys();
const RANGE = 2 << 20;

/** Data of a request in an array. */
class Data implements IoVector {
  readonly addr = 0;
  readonly count = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  get len(): number {
    return this.bytes.length;
  }
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    to.set(this.bytes.subarray(offset, offset + len), toOffset);
    return len;
  }
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    this.bytes.set(from.subarray(fromOffset, fromOffset + len), offset);
    return len;
  }
}

const write = (file: MemfdFile, offset: number, data: Uint8Array): number => file.write(offset, new Data(data));
const read = (file: MemfdFile, offset: number, len: number): Uint8Array => {
  const data = new Data(new Uint8Array(len));
  return data.bytes.subarray(0, file.read(offset, data));
};

describe('MemfdFile', () => {
  it('shows a mapping what is written, and reads what a mapping stores', () => {
    using _leaks = leakCheck();
    using file = new MemfdFile(sys, Buffer.from('first'));
    using fd = new Fd(sys.fd, file.open());
    using mapping = Mapping.shared(sys.mem, fd.fd, RANGE, 0, PROT_READ | PROT_WRITE);
    expect(Buffer.from(mapping.u8.subarray(0, 6)).toString()).to.equal('first\0');
    write(file, 1, Buffer.from('XX'));
    expect(mapping.u8[1]).to.equal(0x58);
    mapping.u8[0] = 0x59;
    expect(Buffer.from(file.bytes).toString()).to.equal('YXXst');
  });

  it('keeps its descriptor a multiple of 2 MiB long, and sealed against shrinking', () => {
    using file = new MemfdFile(sys);
    using fd = new Fd(sys.fd, file.open());
    expect(sys.file.ftruncate(fd.fd, 0)).to.be.below(0);
    expect(sys.file.lseek(fd.fd, 0, 2)).to.equal(RANGE);
    expect(file.resize(RANGE + 1)).to.equal(0);
    expect(sys.file.lseek(fd.fd, 0, 2)).to.equal(2 * RANGE);
    expect(file.resize(0)).to.equal(0);
    expect(sys.file.lseek(fd.fd, 0, 2)).to.equal(2 * RANGE);
  });

  it('shows zeros where it grew, whatever a guest stored behind its end', () => {
    using file = new MemfdFile(sys, Buffer.from('abc'));
    using fd = new Fd(sys.fd, file.open());
    using mapping = Mapping.shared(sys.mem, fd.fd, 4096, 0, PROT_READ | PROT_WRITE);
    mapping.u8.fill(0x7a, 3);
    expect(write(file, 8, Buffer.from('d'))).to.equal(1);
    expect(Buffer.from(file.bytes).toString('latin1')).to.equal('abc\0\0\0\0\0d');
    mapping.u8.fill(0x7a, 9);
    expect(file.resize(12)).to.equal(0);
    expect([...file.bytes.subarray(9)]).to.deep.equal([0, 0, 0]);
  });

  it('refuses what it does not hold', () => {
    using file = new MemfdFile(sys, undefined, 100);
    expect(file.resize(101)).to.equal(-EFBIG);
    expect(write(file, 100, Uint8Array.of(1))).to.equal(-EFBIG);
    expect(file.fallocate(0, 101, 0)).to.equal(-EFBIG);
    expect(file.fallocate(0, 1, 0x8)).to.equal(-EOPNOTSUPP);
    expect(file.fallocate(0, 1, 0x2)).to.equal(-EINVAL);
    expect(file.size).to.equal(0);
    expect(() => new MemfdFile(sys, new Uint8Array(2), 1)).to.throw(RangeError);
  });

  it('does as an array does', () => {
    const at = fc.nat(20_000);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), at, len: fc.integer({ min: 1, max: 9000 }) }),
      fc.record({ kind: fc.constant('resize' as const), at, len: fc.constant(0) }),
      fc.record({ kind: fc.constant('punch' as const), at, len: fc.integer({ min: 1, max: 9000 }) }),
      fc.record({ kind: fc.constant('zero' as const), at, len: fc.integer({ min: 1, max: 9000 }) }),
      fc.record({ kind: fc.constant('read' as const), at, len: fc.integer({ min: 1, max: 9000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        using file = new MemfdFile(sys);
        const model = new Uint8Array(40_000);
        let size = 0;
        steps.forEach(({ kind, at: offset, len }, turn) => {
          const end = offset + len;
          if (kind === 'write') {
            expect(write(file, offset, new Uint8Array(len).fill(turn + 1))).to.equal(len);
            model.fill(turn + 1, offset, end);
            size = Math.max(size, end);
          } else if (kind === 'resize') {
            expect(file.resize(offset)).to.equal(0);
            model.fill(0, offset);
            size = offset;
          } else if (kind === 'read') {
            expect(
              Buffer.compare(read(file, offset, len), model.subarray(offset, Math.max(offset, Math.min(end, size)))),
            ).to.equal(0);
          } else {
            expect(file.fallocate(offset, len, kind === 'punch' ? 3 : 0x10)).to.equal(0);
            model.fill(0, offset, Math.min(end, Math.max(offset, size)));
            if (kind === 'zero') size = Math.max(size, end);
          }
        });
        expect(file.size).to.equal(size);
        expect(Buffer.compare(file.bytes, model.subarray(0, size))).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });
});
