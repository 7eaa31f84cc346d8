/** Regions whose memory the owner has no need of. */
import { readdirSync, readlinkSync } from 'node:fs';
import { EFAULT, openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { GuestMemory, GuestMemoryError, type MemoryRegion, type RegionFile } from '../src/index.ts';
import { TestMemory } from '../src/testing/index.ts';

const sys = openSys();
const onlySealed = ({ sealed }: RegionFile): boolean => sealed;
const RAM_GPA = 0x10_0000;
const FILE_GPA = 0x8000_0000;

/** Descriptors of this process on test memory. */
function openFiles(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.includes('oriel-test-ram')).length;
}

function expectUnreachable(region: MemoryRegion): void {
  const bytes = Uint8Array.of(7, 7);
  expect([region.foreign, region.direct, region.live]).to.deep.equal([true, false, false]);
  expect([region.u8.length, region.u16.length, region.u32.length]).to.deep.equal([0, 0, 0]);
  expect([region.read(0, bytes, 0, 2), region.write(0, bytes, 0, 2), ...bytes]).to.deep.equal([-EFAULT, -EFAULT, 7, 7]);
  expect(() => region.addr).to.throw(GuestMemoryError);
  expect(() => region.fd).to.throw(RangeError);
}

describe('GuestMemory, foreign regions', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('closes the file at once, and remembers the place', () => {
    using ram = new TestMemory(sys, { gpa: RAM_GPA });
    using file = new TestMemory(sys, { gpa: FILE_GPA, file: 'unsealed' });
    using memory = new GuestMemory(sys, { needs: onlySealed });
    const near = ram.addTo(memory);
    const before = openFiles();
    const far = file.addTo(memory);
    expect(openFiles()).to.equal(before);
    expectUnreachable(far);
    expect([near.foreign, near.direct, near.live]).to.deep.equal([false, true, true]);
    expect([far.gpa, far.size, far.userAddr, far.mmapOffset]).to.deep.equal([FILE_GPA, file.size, file.userAddr, 0]);
    expect(memory.find(FILE_GPA + 4096)).to.equal(far);
    expect(memory.findUser(file.userAddr, 16)).to.equal(far);
    expect(memory.regions).to.deep.equal([near, far]);
  });

  it('asks with the file: seal and identity', () => {
    using ram = new TestMemory(sys, { gpa: RAM_GPA });
    using own = new TestMemory(sys, { gpa: FILE_GPA });
    const asked: RegionFile[] = [];
    using memory = new GuestMemory(sys, {
      needs: (file) => {
        asked.push(file);
        return asked.length === 1;
      },
    });
    const near = ram.addTo(memory);
    const far = own.addTo(memory);
    expect(asked.map(({ sealed }) => sealed)).to.deep.equal([true, true]);
    expect(asked.map(({ dev, ino }) => ({ dev, ino }))).to.deep.equal(
      [near, far].map(({ dev, ino }) => ({ dev, ino })),
    );
    expectUnreachable(far);
  });

  it('still takes its addresses, and gives them back at REM_MEM_REG', () => {
    using ram = new TestMemory(sys, { gpa: RAM_GPA });
    using file = new TestMemory(sys, { gpa: FILE_GPA, file: 'unsealed' });
    using memory = new GuestMemory(sys, { needs: onlySealed, maxRegions: 2 });
    ram.addTo(memory);
    file.addTo(memory);
    expect(() => memory.add(ram.describe({ gpa: FILE_GPA, userAddr: 0x1000, size: 4096 })))
      .to.throw()
      .with.property('code', 'ERR_MEM_COUNT');
    using roomy = new GuestMemory(sys, { needs: onlySealed });
    file.addTo(roomy);
    expect(() => roomy.add(ram.describe({ gpa: FILE_GPA, userAddr: 0x1000, size: 4096 })))
      .to.throw()
      .with.property('code', 'ERR_MEM_OVERLAP');
    memory.remove(FILE_GPA, file.userAddr, file.size);
    expect(memory.find(FILE_GPA)).to.equal(null);
    expect(() => memory.remove(FILE_GPA, file.userAddr, file.size))
      .to.throw()
      .with.property('code', 'ERR_MEM_UNKNOWN');
  });

  it('stays as it is in a table that has it again, and is taken when it is needed by then', () => {
    using ram = new TestMemory(sys, { gpa: RAM_GPA });
    using file = new TestMemory(sys, { gpa: FILE_GPA, file: 'unsealed' });
    let all = false;
    using memory = new GuestMemory(sys, { needs: ({ sealed }) => all || sealed });
    memory.replace([ram.describe(), file.describe()]);
    const [near, far] = memory.regions as [MemoryRegion, MemoryRegion];
    memory.replace([file.describe(), ram.describe()]);
    expect([memory.regions[0] === near, memory.regions[1] === far]).to.deep.equal([true, true]);
    all = true;
    memory.replace([ram.describe(), file.describe()]);
    const taken = memory.regions[1]!;
    expect([memory.regions[0] === near, taken === far, taken.foreign, taken.live]).to.deep.equal([
      true,
      false,
      false,
      true,
    ]);
    file.u8[3] = 42;
    const bytes = new Uint8Array(1);
    expect([taken.read(3, bytes, 0, 1), bytes[0]]).to.deep.equal([0, 42]);
    all = false;
    memory.replace([ram.describe(), file.describe()]);
    expectUnreachable(memory.regions[1]!);
    expect(taken.live).to.equal(false);
  });

  it('gives up every descriptor when the question throws', () => {
    using ram = new TestMemory(sys, { gpa: RAM_GPA });
    using memory = new GuestMemory(sys, {
      needs: () => {
        throw new RangeError('a bug');
      },
    });
    const before = openFiles();
    expect(() => ram.addTo(memory)).to.throw(RangeError);
    expect(() => memory.replace([ram.describe()])).to.throw(RangeError);
    expect([openFiles(), memory.regions.length]).to.deep.equal([before, 0]);
  });
});
