import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { EFAULT, EINVAL, openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { Backing } from '../../src/resources/backing.ts';
import { Guest, words } from './support/guest.ts';

const sys = openSys();
const BASE = 0x10_0000;
const SIZE = 0x1_0000;

/** Bytes 0, 1, 2, ... 250, 0, 1, ... so that no two pages are alike. */
function pattern(len: number): Uint8Array {
  return Uint8Array.from({ length: len }, (_, i) => i % 251);
}

describe('Backing', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('reads and writes ranges in the order of the entries', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE });
    guest.ram.u8.set([1, 2, 3, 4, 5, 6, 7, 8]);
    const pages = guest.pages([BASE + 6, 2], [BASE, 3], [BASE + 3, 1]);
    expect([pages.size, pages.ranges]).to.deep.equal([6, 2]);
    const to = new Uint8Array(8);
    expect(pages.read(0, to, 1, 6)).to.equal(0);
    expect([...to]).to.deep.equal([0, 7, 8, 1, 2, 3, 4, 0]);
    expect(pages.write(1, Uint8Array.of(9, 10, 11, 12, 13), 1, 4)).to.equal(0);
    expect([...guest.ram.u8.subarray(0, 8)]).to.deep.equal([11, 12, 13, 4, 5, 6, 7, 10]);
  });

  it('takes an entry over two neighbouring regions, and none over a gap', () => {
    using low = new TestMemory(sys, { gpa: BASE, size: 8192 });
    using high = new TestMemory(sys, { gpa: BASE + 8192, size: 8192 });
    using far = new TestMemory(sys, { gpa: BASE + 20480, size: 4096 });
    using memory = new GuestMemory(sys);
    for (const ram of [low, high, far]) ram.addTo(memory);
    const pages = Backing.of(memory, words([[BASE + 8190, 4]]), 1);
    expect(pages?.write(0, Uint8Array.of(1, 2, 3, 4), 0, 4)).to.equal(0);
    expect([low.u8[8190], low.u8[8191], high.u8[0], high.u8[1]]).to.deep.equal([1, 2, 3, 4]);
    const to = new Uint8Array(2);
    expect(pages?.read(1, to, 0, 2)).to.equal(0);
    expect([...to]).to.deep.equal([2, 3]);
    expect(Backing.of(memory, words([[BASE, 16384]]), 1)?.size).to.equal(16384);
    expect(Backing.of(memory, words([[BASE, 16385]]), 1)).to.equal(null);
    expect(Backing.of(memory, words([[BASE + 8192, 16384]]), 1)).to.equal(null);
  });

  it('refuses entries that are not wholly in guest memory', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE });
    const refused: [number, number][] = [
      [BASE - 1, 1],
      [BASE - 1, 2],
      [BASE + SIZE, 1],
      [BASE + SIZE - 1, 2],
      [BASE, 0xffff_ffff],
      [0, 4096],
      [0xffff_ffff, 0xffff_ffff],
      [2 ** 53 - 1, 2],
      [2 ** 53, 1],
      [0xffff_f000 * 2 ** 32, 4096],
    ];
    for (const entry of refused) {
      expect(Backing.of(guest.memory, words([entry]), 1), String(entry)).to.equal(null);
      expect(Backing.of(guest.memory, words([[BASE, 16], entry]), 2), String(entry)).to.equal(null);
    }
    // 2^53 + BASE: a double would make the lower half of it.
    expect(Backing.of(guest.memory, Uint32Array.of(BASE, 0x20_0000, 16, 0), 1)).to.equal(null);
    expect(() => Backing.of(guest.memory, new Uint32Array(7), 2)).to.throw(RangeError);
  });

  it('leaves out entries of no bytes, whatever their address', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE });
    guest.ram.u8.set([1, 2, 3, 4]);
    const pages = guest.pages([2 ** 60, 0], [BASE + 2, 2], [0, 0], [BASE, 1], [BASE, 0]);
    expect([pages.size, pages.ranges]).to.deep.equal([3, 2]);
    const to = new Uint8Array(3);
    expect(pages.read(0, to, 0, 3)).to.equal(0);
    expect([...to]).to.deep.equal([3, 4, 1]);
    const none = guest.pages([BASE, 0]);
    expect([none.size, none.read(0, to, 0, 0), none.read(0, to, 0, 1)]).to.deep.equal([0, 0, -EINVAL]);
  });

  it('refuses offsets outside of the pages, also near 2^32 and 2^53', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE });
    const pages = guest.pages([BASE, 100], [BASE + 4096, 100]);
    const bytes = new Uint8Array(300);
    expect([pages.read(200, bytes, 0, 0), pages.read(199, bytes, 0, 1)]).to.deep.equal([0, 0]);
    const outside: [number, number][] = [
      [199, 2],
      [200, 1],
      [201, 0],
      [0, 201],
      [-1, 1],
      [2 ** 32, 1],
      [2 ** 32 - 1, 2],
      [2 ** 53 - 1, 1],
      [2 ** 53, 2 ** 53],
      [2 ** 64, 1],
      [Number.NaN, 1],
      [0, -1],
    ];
    for (const [offset, len] of outside) {
      expect(pages.read(offset, bytes, 0, len), `read ${offset} ${len}`).to.equal(-EINVAL);
      expect(pages.write(offset, bytes, 0, len), `write ${offset} ${len}`).to.equal(-EINVAL);
    }
    expect(() => pages.read(0, bytes, 200, 101)).to.throw(RangeError);
    expect(() => pages.write(0, bytes, -1, 1)).to.throw(RangeError);
  });

  it('finds offsets in 16384 entries, in any order', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE });
    guest.ram.u8.set(pattern(SIZE));
    const entries = Array.from({ length: 16384 }, (_, i): [number, number] => [BASE + (i % 16) * 4096, 4000]);
    const pages = guest.pages(...entries);
    expect([pages.size, pages.ranges]).to.deep.equal([16384 * 4000, 16384]);
    const to = new Uint8Array(2);
    for (const entry of [16383, 0, 8191, 8192, 8190, 1, 3, 16382]) {
      expect(pages.read(entry * 4000 + 3998, to, 0, 2)).to.equal(0);
      const at = (entry % 16) * 4096 + 3998;
      expect([...to], `entry ${entry}`).to.deep.equal([at % 251, (at + 1) % 251]);
    }
  });

  it('answers -EFAULT once the memory is gone, and works again when it is back', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE });
    const { memory, ram } = guest;
    ram.u8.set([5, 6, 7]);
    const pages = guest.pages([BASE, 3]);
    const to = new Uint8Array(3);
    expect(pages.read(0, to, 0, 3)).to.equal(0);
    memory.remove(ram.gpa, ram.userAddr, ram.size);
    expect(pages.read(0, to, 0, 3)).to.equal(-EFAULT);
    expect(pages.write(0, to, 0, 3)).to.equal(-EFAULT);
    using other = new TestMemory(sys, { gpa: BASE, size: SIZE });
    other.u8.set([1, 2, 3]);
    other.addTo(memory);
    expect(pages.read(0, to, 0, 3)).to.equal(0);
    expect([...to], 'of the region that is there now').to.deep.equal([1, 2, 3]);
    expect([...ram.u8.subarray(0, 3)]).to.deep.equal([5, 6, 7]);
    memory.replace([other.describe({ size: 4096 })]);
    const end = guest.pages([BASE + 4094, 2]);
    memory.replace([other.describe({ gpa: BASE + 4096, mmapOffset: 4096, size: 4096 })]);
    expect(end.read(0, to, 0, 2)).to.equal(-EFAULT);
  });

  it('answers -EFAULT for a file that was truncated', () => {
    using guest = new Guest(sys, { gpa: BASE, size: SIZE, file: 'unsealed' });
    guest.ram.u8.set([1, 2], 8191);
    const pages = guest.pages([BASE + 8191, 2]);
    const to = new Uint8Array(2);
    expect([pages.read(0, to, 0, 2), ...to]).to.deep.equal([0, 1, 2]);
    expect(pages.write(0, Uint8Array.of(3, 4), 0, 2)).to.equal(0);
    expect([...guest.ram.u8.subarray(8191, 8193)]).to.deep.equal([3, 4]);
    guest.ram.truncate(4096);
    expect(pages.read(0, to, 0, 2)).to.equal(-EFAULT);
    expect(pages.write(0, to, 0, 2)).to.equal(-EFAULT);
  });

  for (const file of ['sealed', 'unsealed'] as const) {
    it(`agrees with a plain array, ${file} memory (property)`, () => {
      using low = new TestMemory(sys, { gpa: 0, size: 4096, file });
      using high = new TestMemory(sys, { gpa: 4096, size: 8192, file });
      using memory = new GuestMemory(sys);
      low.addTo(memory);
      high.addTo(memory);
      const entry = fc
        .tuple(fc.nat(12287), fc.nat(3000))
        .map(([gpa, len]) => [gpa, Math.min(len, 12288 - gpa)] as const);
      const access = fc.record({ write: fc.boolean(), offset: fc.nat(9000), len: fc.nat(5000) });
      const list = fc.array(entry, { maxLength: 12 });
      fc.assert(
        fc.property(list, fc.array(access, { maxLength: 12 }), (entries, accesses) => {
          const ram = pattern(12288);
          low.u8.set(ram.subarray(0, 4096));
          high.u8.set(ram.subarray(4096));
          const pages = Backing.of(memory, words(entries), entries.length)!;
          const order = entries.flatMap(([gpa, len]) => Array.from({ length: len }, (_, i) => gpa + i));
          expect(pages.size).to.equal(order.length);
          for (const [i, { write, offset, len }] of accesses.entries()) {
            const fits = offset + len <= order.length;
            const bytes = new Uint8Array(len).fill(200 + i);
            const result = write ? pages.write(offset, bytes, 0, len) : pages.read(offset, bytes, 0, len);
            expect(result).to.equal(fits ? 0 : -EINVAL);
            if (!fits) continue;
            for (let b = 0; b < len; b++) {
              if (write) ram[order[offset + b]!] = 200 + i;
              else if (bytes[b] !== ram[order[offset + b]!]) expect.fail(`byte ${b} of the read at ${offset}`);
            }
          }
          expect(Buffer.compare(Buffer.concat([low.u8, high.u8]), ram)).to.equal(0);
        }),
        { numRuns: 60 },
      );
    });
  }
});
