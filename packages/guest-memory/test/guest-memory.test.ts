import { fstatSync } from 'node:fs';
import { EFAULT, openSys, type SysError } from '@oriel/sys';
import { type LeakCheck, leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { GuestMemory, GuestMemoryError, type RegionDescription } from '../src/index.ts';
import { TestMemory } from '../src/testing/index.ts';

const sys = openSys();
const MiB = 0x10_0000;

/** The code of the GuestMemoryError that `act` throws. */
function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof GuestMemoryError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('GuestMemory', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  describe('look-up', () => {
    it('finds guest physical and user addresses, up to both ends', () => {
      using low = new TestMemory(sys, { size: MiB, gpa: 0, userAddr: 0x7000_0000_0000 });
      using high = new TestMemory(sys, { size: 2 * MiB, gpa: 0x1_0000_0000, userAddr: 0x6000_0000_0000 });
      using memory = new GuestMemory(sys);
      const b = high.addTo(memory);
      const a = low.addTo(memory);
      expect(memory.regions).to.deep.equal([a, b]);
      const finds: [number, unknown][] = [
        [0, a],
        [MiB - 1, a],
        [MiB, null],
        [0xffff_ffff, null],
        [0x1_0000_0000, b],
        [0x1_0000_0000 + 2 * MiB - 1, b],
        [0x1_0000_0000 + 2 * MiB, null],
        [2 ** 53, null],
        [0xffff_ffff_ffff_f000, null],
        [5, a],
      ];
      for (const [gpa, region] of finds) expect(memory.find(gpa), `gpa ${gpa}`).to.equal(region);
      expect(memory.findUser(0x7000_0000_0000, MiB)).to.equal(a);
      expect(memory.findUser(0x7000_0000_0000, MiB + 1)).to.equal(null);
      expect(memory.findUser(0x7000_0000_0001, MiB)).to.equal(null);
      expect(memory.findUser(0x6fff_ffff_ffff, 1)).to.equal(null);
      expect(memory.findUser(0x6000_0000_0000 + 2 * MiB - 16, 16)).to.equal(b);
      expect(memory.findUser(0x6000_0000_0000 + 2 * MiB, 0)).to.equal(b);
    });

    it('agrees with a search of the whole table (property)', () => {
      const step = 4096;
      const layout = fc.array(
        fc.record({ gap: fc.integer({ min: 0, max: 3 }), pages: fc.integer({ min: 1, max: 4 }) }),
        {
          minLength: 1,
          maxLength: 12,
        },
      );
      using ram = new TestMemory(sys, { size: 4 * step });
      fc.assert(
        fc.property(layout, fc.array(fc.integer({ min: 0, max: 90 * step })), (parts, addresses) => {
          using memory = new GuestMemory(sys);
          let next = 0;
          const descriptions: RegionDescription[] = parts.map(({ gap, pages }) => {
            const gpa = next + gap * step;
            next = gpa + pages * step;
            return ram.describe({ gpa, userAddr: 0x1000_0000 - next, size: pages * step });
          });
          memory.replace(descriptions);
          for (const gpa of [...addresses, ...descriptions.map((d) => d.gpa), ...descriptions.map((d) => d.gpa - 1)]) {
            const expected = memory.regions.find((r) => gpa >= r.gpa && gpa < r.gpa + r.size) ?? null;
            expect(memory.find(gpa)).to.equal(expected);
          }
        }),
        { numRuns: 60 },
      );
    });
  });

  describe('a direct region', () => {
    it('is the memory that the guest sees, by view, by copy and by address', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      expect([region.direct, region.live, region.u8.length]).to.deep.equal([true, true, MiB]);
      expect([region.u16.length, region.u32.length]).to.deep.equal([MiB / 2, MiB / 4]);
      ram.u8.set([1, 2, 3, 4], 4096);
      expect(region.u32[1024]).to.equal(0x0403_0201);
      expect(region.u16[2049]).to.equal(0x0403);
      const copy = new Uint8Array(6);
      expect(region.read(4096, copy, 1, 4)).to.equal(0);
      expect([...copy]).to.deep.equal([0, 1, 2, 3, 4, 0]);
      expect(region.write(8192, Buffer.from('window'), 0, 6)).to.equal(0);
      expect(Buffer.from(ram.u8.subarray(8192, 8198)).toString()).to.equal('window');
      const viaAddress = Buffer.alloc(6);
      using target = ram.file.dup();
      expect(sys.fd.pwrite(target.fd, region.addr + 8192, 6, 100)).to.equal(6);
      viaAddress.set(ram.u8.subarray(100, 106));
      expect(viaAddress.toString()).to.equal('window');
    });

    it('starts at its offset in the file, and may be of any length', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      const region = memory.add(ram.describe({ mmapOffset: 3 * 4096, size: 4099 }));
      ram.u8[3 * 4096] = 7;
      ram.u8[3 * 4096 + 4098] = 9;
      expect([region.u8.length, region.u16.length, region.u32.length]).to.deep.equal([4099, 2049, 1024]);
      expect([region.u8[0], region.u8[4098]]).to.deep.equal([7, 9]);
    });

    it('is mapped from a block boundary where the file has large blocks, as hugetlbfs does', () => {
      const block = 2 * MiB;
      const large = mockSys({
        file: {
          statx(dirfd, path, flags, mask, buf) {
            const result = sys.file.statx(dirfd, path, flags, mask, buf);
            const bytes = buf as Uint8Array;
            new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, block, true);
            return result;
          },
        },
      });
      using ram = new TestMemory(sys, { size: 4 * MiB });
      using memory = new GuestMemory(large);
      const region = memory.add(ram.describe({ mmapOffset: block + 4096, size: 8192 }));
      ram.u8[block + 4096 + 5] = 77;
      expect(region.u8[5]).to.equal(77);
      const [, len, , , , offset] = large.calls.find((call) => call.name === 'mem.mmap')!.args as number[];
      expect([len, offset]).to.deep.equal([block, block]);
    });

    it('works far above 4 GiB of file, and of region', () => {
      const size = 12 * 1024 * MiB;
      using ram = new TestMemory(sys, { size, gpa: 0x1_0000_0000 });
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      region.u32[size / 4 - 1] = 0x1234_5678;
      region.u8[5 * 1024 * MiB] = 5;
      expect([ram.u8[size - 1], ram.u8[5 * 1024 * MiB]]).to.deep.equal([0x12, 5]);
    });

    it('carries the device and inode of its file', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      const stat = fstatSync(region.fd);
      expect([region.dev, region.ino]).to.deep.equal([stat.dev, stat.ino]);
    });
  });

  describe('a guarded region', () => {
    it('has no views, and is mapped only when its address is asked for', () => {
      const counting = mockSys();
      using ram = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(counting);
      const region = ram.addTo(memory);
      ram.u8.set(Buffer.from('hello'), 10_000);
      expect([region.direct, region.u8.length, region.u16.length, region.u32.length]).to.deep.equal([false, 0, 0, 0]);
      const copy = Buffer.alloc(5);
      expect(region.read(10_000, copy, 0, 5)).to.equal(0);
      expect(copy.toString()).to.equal('hello');
      expect(counting.count('mem.mmap')).to.equal(0);
      expect(sys.fd.pwrite(ram.file.fd, region.addr + 10_000, 5, 20_000)).to.equal(5);
      expect(Buffer.from(ram.u8.subarray(20_000, 20_005)).toString()).to.equal('hello');
      expect(region.addr % 4096).to.equal(0);
      expect(counting.count('mem.mmap')).to.equal(1);
    });

    it('takes writes of any length', () => {
      using ram = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
      expect(region.write(4097, bytes, 3, 199_997)).to.equal(0);
      expect(Buffer.compare(ram.u8.subarray(4097, 4097 + 199_997), bytes.subarray(3))).to.equal(0);
      const back = new Uint8Array(199_997);
      expect(region.read(4097, back, 0, 199_997)).to.equal(0);
      expect(Buffer.compare(back, bytes.subarray(3))).to.equal(0);
    });

    it('answers EFAULT when the file was truncated, and the process lives', () => {
      using ram = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      const copy = new Uint8Array(64);
      expect(region.write(0x8_0000, copy, 0, 64)).to.equal(0);
      ram.truncate(0x8_0020);
      expect(region.read(0x8_0000, copy, 0, 64)).to.equal(-EFAULT);
      expect(region.read(0x9_0000, copy, 0, 64)).to.equal(-EFAULT);
      expect(region.read(0x8_0000, copy, 0, 32)).to.equal(0);
      expect(region.write(0x9_0000, copy, 0, 64)).to.equal(-EFAULT);
      expect(region.write(0x7_fff0, copy, 0, 64)).to.equal(0);
      expect(sys.fd.pwrite(ram.file.fd, region.addr + 0x9_0000, 16, 0)).to.equal(-EFAULT);
      expect(fstatSync(ram.file.fd).size, 'a write must not lengthen the file').to.equal(0x8_0020);
    });

    it('answers EFAULT where the mapping fails, and the address throws', () => {
      const failing = mockSys();
      using ram = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(failing);
      const region = ram.addTo(memory);
      failing.failNext('mem.mmap', 12, 2);
      expect(region.write(0, new Uint8Array(4), 0, 4)).to.equal(-EFAULT);
      expect(() => region.addr)
        .to.throw()
        .with.property('code', 'ENOMEM');
      expect(region.write(0, new Uint8Array(4), 0, 4)).to.equal(0);
    });

    it('reads on after an interrupted or short read', () => {
      let reads = 0;
      const slow = mockSys({
        fd: {
          pread(fd, to, len, offset) {
            reads++;
            return reads === 1 ? -4 : sys.fd.pread(fd, to, Math.min(len, 3), offset);
          },
        },
      });
      using ram = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(slow);
      const region = ram.addTo(memory);
      ram.u8.set(Buffer.from('interrupted'), 0);
      const copy = Buffer.alloc(11);
      expect(region.read(0, copy, 0, 11)).to.equal(0);
      expect([copy.toString(), reads]).to.deep.equal(['interrupted', 5]);
    });
  });

  describe('checks', () => {
    const cases: [string, string, Partial<RegionDescription>][] = [
      ['no bytes', 'ERR_MEM_RANGE', { size: 0 }],
      ['a negative size', 'ERR_MEM_RANGE', { size: -4096 }],
      ['a size that is not whole', 'ERR_MEM_RANGE', { size: 4096.5 }],
      ['a size above 2^53', 'ERR_MEM_RANGE', { size: 2 ** 53 }],
      ['a gpa above 2^53', 'ERR_MEM_RANGE', { gpa: 2 ** 53 }],
      ['a user address of 64 bits', 'ERR_MEM_RANGE', { userAddr: 0xffff_ffff_ffff_f000 }],
      ['a gpa that wraps', 'ERR_MEM_RANGE', { gpa: 2 ** 53 - 4096, size: 8192 }],
      ['a user address that wraps', 'ERR_MEM_RANGE', { userAddr: 2 ** 53 - 4096, size: 8192 }],
      ['an offset that wraps', 'ERR_MEM_RANGE', { mmapOffset: 2 ** 53 - 4096, size: 8192 }],
      ['a negative gpa', 'ERR_MEM_RANGE', { gpa: -4096 }],
      ['an odd gpa', 'ERR_MEM_RANGE', { gpa: 8 }],
      ['an odd user address', 'ERR_MEM_RANGE', { userAddr: 0x7000_0000_0001 }],
      ['an odd offset', 'ERR_MEM_RANGE', { mmapOffset: 512 }],
      ['a file that is too short', 'ERR_MEM_FILE', { size: MiB + 1 }],
      ['an offset near the end of the file', 'ERR_MEM_FILE', { mmapOffset: MiB - 4096, size: 4097 }],
    ];
    for (const [what, code, part] of cases) {
      it(`refuses ${what}`, () => {
        using ram = new TestMemory(sys);
        using memory = new GuestMemory(sys);
        expect(codeOf(() => memory.add(ram.describe(part)))).to.equal(code);
        expect(
          codeOf(() => memory.replace([ram.describe({ gpa: 0x8000_0000, userAddr: 0x1000 }), ram.describe(part)])),
        ).to.equal(code);
        expect([memory.regions.length, memory.generation]).to.deep.equal([0, 0]);
      });
    }

    it('refuses overlap in guest and in user addresses, and takes neighbours', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      const at = (gpa: number, userAddr: number): RegionDescription => ram.describe({ gpa, userAddr, size: 0x2000 });
      memory.add(at(0x10_0000, 0x7000_0000));
      expect(codeOf(() => memory.add(at(0x10_1000, 0x8000_0000)))).to.equal('ERR_MEM_OVERLAP');
      expect(codeOf(() => memory.add(at(0x0f_f000, 0x8000_0000)))).to.equal('ERR_MEM_OVERLAP');
      expect(codeOf(() => memory.add(at(0x10_0000, 0x7000_0000)))).to.equal('ERR_MEM_OVERLAP');
      expect(codeOf(() => memory.add(at(0x20_0000, 0x7000_1000)))).to.equal('ERR_MEM_OVERLAP');
      expect(codeOf(() => memory.replace([at(0, 0), at(0x1000, 0x4000)]))).to.equal('ERR_MEM_OVERLAP');
      memory.add(at(0x10_2000, 0x6fff_e000));
      memory.add(at(0x0f_e000, 0x7000_2000));
      expect(memory.regions.map((r) => r.gpa)).to.deep.equal([0x0f_e000, 0x10_0000, 0x10_2000]);
    });

    it('refuses more regions than there are slots', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys, { maxRegions: 2 });
      const at = (i: number): RegionDescription => ram.describe({ gpa: i * MiB, userAddr: i * MiB });
      memory.replace([at(0), at(1)]);
      expect(codeOf(() => memory.add(at(2)))).to.equal('ERR_MEM_COUNT');
      expect(codeOf(() => memory.replace([at(0), at(1), at(2)]))).to.equal('ERR_MEM_COUNT');
      expect([memory.regions.length, memory.generation, memory.maxRegions]).to.deep.equal([2, 1, 2]);
      expect(() => new GuestMemory(sys, { maxRegions: 0 })).to.throw(RangeError);
    });

    it('refuses a file that cannot be looked at or mapped, with the cause', () => {
      const failing = mockSys();
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(failing);
      failing.failNext('mem.mmap', 12);
      failing.failNext('file.statx', 9, 1, 1);
      for (const cause of ['ENOMEM', 'EBADF']) {
        try {
          ram.addTo(memory);
          expect.fail('taken');
        } catch (error) {
          expect((error as GuestMemoryError).code).to.equal('ERR_MEM_FILE');
          expect(((error as GuestMemoryError).cause as SysError).code).to.equal(cause);
        }
      }
    });
  });

  describe('changes', () => {
    it('replaces the table but keeps the mapping of equal regions', () => {
      const counting = mockSys();
      using first = new TestMemory(sys, { gpa: 0 });
      using second = new TestMemory(sys, { gpa: 0x4000_0000 });
      using third = new TestMemory(sys, { gpa: 0x4000_0000 });
      using memory = new GuestMemory(counting);
      memory.replace([first.describe(), second.describe()]);
      const [a, b] = memory.regions;
      memory.replace([second.describe(), first.describe()]);
      expect(memory.regions[0]).to.equal(a);
      expect(memory.regions[1]).to.equal(b);
      expect([counting.count('mem.mmap'), memory.generation]).to.deep.equal([2, 2]);
      memory.replace([first.describe(), third.describe()]);
      expect([memory.regions[0] === a, memory.regions[1] === b, counting.count('mem.mmap')]).to.deep.equal([
        true,
        false,
        3,
      ]);
      expect([b!.live, b!.u8.length]).to.deep.equal([false, 0]);
    });

    it('maps a region again that differs in one number, or is sealed since', () => {
      using ram = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(sys);
      const base = { gpa: MiB, userAddr: MiB, mmapOffset: 0, size: 0x8_0000 };
      for (const part of [{ gpa: 2 * MiB }, { userAddr: 2 * MiB }, { mmapOffset: 4096 }, { size: 4096 }]) {
        memory.replace([ram.describe(base)]);
        const [before] = memory.regions;
        memory.replace([ram.describe({ ...base, ...part })]);
        expect(memory.regions[0], JSON.stringify(part)).to.not.equal(before);
      }
      memory.replace([ram.describe(base)]);
      expect(memory.regions[0]!.direct).to.equal(false);
      expect(sys.mem.addSeals(ram.file.fd, 2)).to.equal(0);
      memory.replace([ram.describe(base)]);
      expect(memory.regions[0]!.direct).to.equal(true);
    });

    it('keeps the old table, working, when a new one is refused', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      const bad = [
        ram.describe(),
        ram.describe({ gpa: 0x8000_0000, userAddr: 0x1000 }),
        ram.describe({ gpa: 0, userAddr: 0, size: 2 * MiB }),
      ];
      expect(codeOf(() => memory.replace(bad))).to.equal('ERR_MEM_OVERLAP');
      expect(
        codeOf(() =>
          memory.replace([bad[0]!, { ...bad[1]!, size: 2 * MiB }].map((d) => ({ ...d, fd: ram.file.dup() }))),
        ),
      ).to.equal('ERR_MEM_FILE');
      expect([memory.regions.length, memory.regions[0] === region, region.live]).to.deep.equal([1, true, true]);
      ram.u8[7] = 42;
      expect(region.u8[7]).to.equal(42);
    });

    it('removes the region that equals all three numbers, and no other', () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      const region = ram.addTo(memory);
      const { gpa, userAddr, size } = ram;
      for (const [g, u, s] of [
        [gpa + 4096, userAddr, size],
        [gpa, userAddr + 4096, size],
        [gpa, userAddr, size - 4096],
      ] as const) {
        expect(codeOf(() => memory.remove(g, u, s))).to.equal('ERR_MEM_UNKNOWN');
      }
      memory.find(gpa);
      memory.remove(gpa, userAddr, size);
      expect([memory.find(gpa), memory.findUser(userAddr, 1), memory.generation]).to.deep.equal([null, null, 2]);
      expect([region.live, region.u8.length, region.u32.length]).to.deep.equal([false, 0, 0]);
      expect(region.read(0, new Uint8Array(4), 0, 4)).to.equal(-EFAULT);
      expect(region.write(0, new Uint8Array(4), 0, 4)).to.equal(-EFAULT);
      expect(codeOf(() => region.addr)).to.equal('ERR_MEM_UNKNOWN');
    });

    it('unmaps a removed region only after the last unpin', () => {
      const counting = mockSys();
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(counting);
      const { addr, u8 } = ram.addTo(memory);
      memory.pin();
      memory.pin();
      memory.clear();
      expect([memory.regions.length, counting.count('mem.munmap')]).to.deep.equal([0, 0]);
      // A call under way in a helper thread may still write here.
      expect(sys.fd.pread(ram.file.fd, addr, 16, 0)).to.equal(16);
      expect(u8.length).to.equal(MiB);
      memory.unpin();
      expect(counting.count('mem.munmap')).to.equal(0);
      memory.unpin();
      expect([counting.count('mem.munmap'), u8.length]).to.deep.equal([1, 0]);
      expect(() => memory.unpin()).to.throw(RangeError);
    });

    it('leaves it to `release` when a removed region is unmapped, each set for itself', () => {
      const counting = mockSys();
      using ram = new TestMemory(sys);
      using more = new TestMemory(sys, { gpa: 0x8000_0000, userAddr: 0x1000_0000 });
      const unmaps: (() => void)[] = [];
      using memory = new GuestMemory(counting, { release: (unmap) => unmaps.push(unmap) });
      const { addr } = ram.addTo(memory);
      more.addTo(memory);
      memory.remove(ram.gpa, ram.userAddr, ram.size);
      memory.remove(more.gpa, more.userAddr, more.size);
      expect([unmaps.length, memory.regions.length, counting.count('mem.munmap')]).to.deep.equal([2, 0, 0]);
      expect(sys.fd.pread(ram.file.fd, addr, 16, 0)).to.equal(16);
      unmaps[1]!();
      expect(counting.count('mem.munmap')).to.equal(1);
      unmaps[0]!();
      expect(counting.count('mem.munmap')).to.equal(2);
      memory.clear();
      expect(unmaps.length).to.equal(2);
    });

    it('closes every descriptor given to it, whatever becomes of the call', () => {
      using ram = new TestMemory(sys);
      const memory = new GuestMemory(sys, { maxRegions: 3 });
      const good = (): RegionDescription => ram.describe();
      const bad = (): RegionDescription => ram.describe({ gpa: 0x8000_0000, userAddr: 0, size: MiB + 4096 });
      const given: RegionDescription[] = [];
      const note = (...list: RegionDescription[]): RegionDescription[] => {
        given.push(...list);
        return list;
      };
      memory.replace(note(good()));
      memory.replace(note(good()));
      expect(codeOf(() => memory.replace(note(good(), bad())))).to.equal('ERR_MEM_FILE');
      expect(codeOf(() => memory.replace(note(good(), good())))).to.equal('ERR_MEM_OVERLAP');
      expect(codeOf(() => memory.add(note(good())[0]!))).to.equal('ERR_MEM_OVERLAP');
      expect(codeOf(() => memory.add(note(bad())[0]!))).to.equal('ERR_MEM_FILE');
      memory[Symbol.dispose]();
      expect(given.map((d) => d.fd.closed)).to.deep.equal(given.map(() => true));
    });
  });
});
