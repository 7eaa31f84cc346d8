import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { E2BIG, EFAULT, openSys } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Chain, SplitQueue, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../src/index.ts';
import { MockDriver, TestRing } from '../src/testing/index.ts';

const sys = openSys();
const MiB = 0x10_0000;
const GiB = 0x4000_0000;

/** iovec entries as [address, length]. */
function entries(iov: Uint32Array, count: number): [number, number][] {
  return Array.from({ length: count }, (_, i) => {
    const [lo, hi, len, lenHi] = iov.subarray(i * 4, i * 4 + 4) as unknown as [number, number, number, number];
    expect(lenHi).to.equal(0);
    return [hi * 2 ** 32 + lo, len];
  });
}

/** One chain over three regions: two direct neighbours, and a guarded one behind them. */
function onRegions(act: (chain: Chain, memory: GuestMemory, rams: TestMemory[]) => void): void {
  using _leaks = leakCheck();
  using first = new TestMemory(sys, { size: MiB, gpa: MiB });
  using second = new TestMemory(sys, { size: MiB, gpa: 2 * MiB });
  using guarded = new TestMemory(sys, { size: MiB, gpa: 3 * MiB, file: 'unsealed' });
  using memory = new GuestMemory(sys);
  for (const ram of [first, second, guarded]) ram.addTo(memory);
  const ring = new TestRing(first, 8);
  ring.setDesc(0, { addr: 2 * MiB - 16, len: 32, flags: VRING_DESC_F_NEXT, next: 1 });
  ring.setDesc(1, { addr: 3 * MiB - 8, len: 16, flags: VRING_DESC_F_NEXT, next: 2 });
  ring.setDesc(2, { addr: 3 * MiB - 24, len: 40, flags: VRING_DESC_F_WRITE });
  ring.offer(0);
  const queue = new SplitQueue(memory, ring.config());
  act(queue.next()!, memory, [first, second, guarded]);
  expect(ring.errors).to.deep.equal([]);
}

describe('Chain', () => {
  it('cuts buffers at the borders of regions', () => {
    onRegions((chain, _memory, [first, second, guarded]) => {
      expect([chain.readCount, chain.readBytes, chain.writeCount, chain.writeBytes]).to.deep.equal([4, 48, 2, 40]);
      first!.at(2 * MiB - 16, 16).fill(1);
      second!.at(2 * MiB, 16).fill(2);
      second!.at(3 * MiB - 8, 8).fill(3);
      guarded!.at(3 * MiB, 8).fill(4);
      const all = new Uint8Array(50);
      expect(chain.read(0, all, 1, 49)).to.equal(48);
      expect([...all]).to.deep.equal([
        0,
        ...Array(16).fill(1),
        ...Array(16).fill(2),
        ...Array(8).fill(3),
        ...Array(8).fill(4),
        0,
      ]);
      const part = new Uint8Array(4);
      expect(chain.read(30, part, 0, 4)).to.equal(4);
      expect([...part]).to.deep.equal([2, 2, 3, 3]);
      expect(chain.write(22, Uint8Array.of(9, 8, 7, 6, 5), 1, 4)).to.equal(4);
      expect([...second!.at(3 * MiB - 3, 3), ...guarded!.at(3 * MiB, 3)]).to.deep.equal([3, 8, 7, 6, 5, 4]);
    });
  });

  it('gives iovec entries for any range', () => {
    onRegions((chain, memory) => {
      const [a, b, c] = memory.regions.map((r) => r.addr) as [number, number, number];
      const iov = new Uint32Array(32);
      const read = (offset: number, len: number): unknown => entries(iov, chain.readIovec(offset, len, iov, 8));
      expect(read(0, 48)).to.deep.equal([
        [a + MiB - 16, 16],
        [b, 16],
        [b + MiB - 8, 8],
        [c, 8],
      ]);
      expect(read(20, 14)).to.deep.equal([
        [b + 4, 12],
        [b + MiB - 8, 2],
      ]);
      expect(read(44, 1000), 'cut at the end').to.deep.equal([[c + 4, 4]]);
      expect(read(48, 1)).to.deep.equal([]);
      expect(read(0, 0)).to.deep.equal([]);
      expect(entries(iov, chain.writeIovec(8, 32, iov, 8))).to.deep.equal([
        [b + MiB - 16, 16],
        [c, 16],
      ]);
      expect([chain.readIovec(0, 48, iov, 3), chain.writeIovec(0, 40, iov, 1)]).to.deep.equal([-E2BIG, -E2BIG]);
      expect(chain.readIovec(0, 48, iov, 4)).to.equal(4);
    });
  });

  it('answers EFAULT when a region left the table', () => {
    onRegions((chain, memory, [, second]) => {
      memory.remove(second!.gpa, second!.userAddr, second!.size);
      const bytes = new Uint8Array(64);
      const iov = new Uint32Array(32);
      expect(chain.read(0, bytes, 0, 16)).to.equal(16);
      expect(chain.read(0, bytes, 0, 17)).to.equal(-EFAULT);
      expect(chain.read(40, bytes, 0, 8)).to.equal(8);
      expect(chain.write(0, bytes, 0, 4)).to.equal(-EFAULT);
      expect(chain.readIovec(0, 16, iov, 8)).to.equal(1);
      expect(chain.readIovec(0, 48, iov, 8)).to.equal(-EFAULT);
    });
  });

  it('answers EFAULT when a guarded file was truncated, or cannot be mapped', () => {
    using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
    using guarded = new TestMemory(sys, { size: MiB, gpa: 3 * MiB, file: 'unsealed' });
    const failing = mockSys();
    using memory = new GuestMemory(failing);
    ram.addTo(memory);
    guarded.addTo(memory);
    const ring = new TestRing(ram, 8);
    ring.setDesc(0, { addr: 3 * MiB + 8192, len: 32, flags: VRING_DESC_F_NEXT, next: 1 });
    ring.setDesc(1, { addr: 3 * MiB + 8192, len: 32, flags: VRING_DESC_F_WRITE });
    ring.offer(0);
    const chain = new SplitQueue(memory, ring.config()).next()!;
    const iov = new Uint32Array(32);
    failing.failNext('mem.mmap', 12);
    expect(chain.readIovec(0, 32, iov, 8)).to.equal(-EFAULT);
    expect(chain.readIovec(0, 32, iov, 8)).to.equal(1);
    guarded.truncate(4096);
    expect(chain.read(0, new Uint8Array(32), 0, 32)).to.equal(-EFAULT);
    expect(chain.write(0, new Uint8Array(32), 0, 32)).to.equal(-EFAULT);
    const [[addr]] = entries(iov, 1) as [[number, number]];
    expect(sys.fd.pread(ram.file.fd, addr, 16, 0)).to.equal(-EFAULT);
  });

  it('reads its table in guarded memory, and across regions', () => {
    using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
    using guarded = new TestMemory(sys, { size: MiB, gpa: 2 * MiB, file: 'unsealed' });
    using memory = new GuestMemory(sys);
    ram.addTo(memory);
    guarded.addTo(memory);
    const scratch = Buffer.alloc(32);
    scratch.writeBigUInt64LE(BigInt(MiB + 0x8000), 0);
    scratch.writeUInt32LE(5, 8);
    scratch.writeUInt16LE(VRING_DESC_F_NEXT, 12);
    scratch.writeUInt16LE(1, 14);
    scratch.writeBigUInt64LE(BigInt(2 * MiB + 64), 16);
    scratch.writeUInt32LE(6, 24);
    scratch.writeUInt16LE(VRING_DESC_F_WRITE, 28);
    for (const gpa of [2 * MiB + 4096, 2 * MiB - 16, 2 * MiB - 8]) {
      ram.at(2 * MiB - 64, 64).fill(0);
      for (const [i, byte] of scratch.entries()) {
        const at = gpa + i;
        (at < 2 * MiB ? ram : guarded).at(at, 1)[0] = byte;
      }
      const ring = new TestRing(ram, 8);
      ring.availIdx = 0;
      ring.setDesc(0, { addr: gpa, len: 32, flags: VRING_DESC_F_INDIRECT });
      ring.offer(0);
      const queue = new SplitQueue(memory, ring.config());
      const chain = queue.next()!;
      expect([chain.readCount, chain.readBytes, chain.writeCount, chain.writeBytes]).to.deep.equal([1, 5, 1, 6]);
      expect(chain.write(0, Buffer.from('answer'), 0, 6)).to.equal(6);
      expect(Buffer.from(guarded.at(2 * MiB + 64, 6)).toString()).to.equal('answer');
    }
    guarded.truncate(0);
    const ring = new TestRing(ram, 8);
    ring.availIdx = 0;
    ring.setDesc(0, { addr: 2 * MiB + 4096, len: 32, flags: VRING_DESC_F_INDIRECT });
    ring.offer(0);
    expect(new SplitQueue(memory, ring.config()).next()).to.equal(null);
    expect(ring.errors.map((e) => e.code)).to.deep.equal(['ERR_VIRTQ_INDIRECT']);
  });

  it('works far above 4 and 8 GiB of a region', () => {
    for (const where of [5 * GiB, 11 * GiB]) {
      using ram = new TestMemory(sys, { size: 12 * GiB, gpa: 4 * GiB });
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      const gpa = ram.gpa + where;
      const ring = new TestRing(ram, 8, gpa);
      const table = gpa + 0x1000;
      ring.setTable(table, [
        { addr: gpa + 0x2000, len: 43, flags: VRING_DESC_F_NEXT, next: 1 },
        { addr: gpa + 0x3000, len: 22, flags: VRING_DESC_F_WRITE },
      ]);
      ring.setDesc(0, { addr: table, len: 32, flags: VRING_DESC_F_INDIRECT });
      ring.offer(0);
      ram.at(gpa + 0x2000, 43).fill(3);
      const queue = new SplitQueue(memory, ring.config());
      const chain = queue.next()!;
      const bytes = new Uint8Array(43);
      expect(chain.read(0, bytes, 0, 43)).to.equal(43);
      expect(bytes.every((b) => b === 3)).to.equal(true);
      expect(chain.write(0, bytes, 0, 22)).to.equal(22);
      expect([...ram.at(gpa + 0x3000, 23)]).to.deep.equal([...Array(22).fill(3), 0]);
      const iov = new Uint32Array(8);
      expect(entries(iov, chain.writeIovec(4, 10, iov, 2))).to.deep.equal([[region.addr + where + 0x3004, 10]]);
      queue.complete(chain, 22);
      expect(ring.usedElem(0)).to.deep.equal({ id: 0, len: 22 });
    }
  });

  it('copies any range of any buffers (property)', () => {
    const range = fc.record({ offset: fc.nat({ max: 300 }), len: fc.nat({ max: 300 }), at: fc.nat({ max: 9 }) });
    const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(parts, parts, range, (readable, writable, { offset, len, at }) => {
        using driver = new MockDriver(sys, { size: 8, ramBytes: 0x1_0000 });
        const end = driver.queue(0);
        const queue = end.openDevice();
        end.send(
          readable,
          writable.map((b) => b.length),
        );
        const chain = queue.next()!;
        const source = Buffer.concat(readable);
        const to = new Uint8Array(at + len);
        const copied = Math.max(0, Math.min(len, source.length - offset));
        // The same array more than once: what is remembered of it must serve every range.
        for (const first of [0, 1, 0]) {
          to.fill(0);
          chain.read(first, to, 0, at);
          expect(chain.read(offset, to.fill(0), at, len)).to.equal(copied);
        }
        const expected = Buffer.alloc(at + len);
        expected.set(source.subarray(offset, offset + copied), at);
        expect(expected.equals(to)).to.equal(true);
        const answer = Buffer.concat(writable);
        expect(chain.write(0, answer, 0, answer.length)).to.equal(answer.length);
        const patch = Uint8Array.from({ length: at + len }, (_, i) => i * 7 + 1);
        const patched = Math.max(0, Math.min(len, answer.length - offset));
        for (let n = 0; n < 3; n++) expect(chain.write(offset, patch, at, len)).to.equal(patched);
        answer.set(patch.subarray(at, at + patched), Math.min(offset, answer.length));
        queue.complete(chain, answer.length);
        expect(answer.equals(end.receive()!.data)).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses private memory that is too short', () => {
    using driver = new MockDriver(sys);
    const end = driver.queue(0);
    end.send([Buffer.from('12345678')], [8]);
    const chain = end.openDevice().next()!;
    expect(() => chain.read(0, new Uint8Array(7), 0, 8)).to.throw(RangeError);
    expect(() => chain.read(0, new Uint8Array(8), 1, 8)).to.throw(RangeError);
    expect(() => chain.write(0, new Uint8Array(7), 0, 8)).to.throw(RangeError);
    expect(chain.read(4, new Uint8Array(4), 0, 8)).to.equal(4);
  });
});
