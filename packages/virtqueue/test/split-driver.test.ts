import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import {
  type DriverBuffer,
  layoutSplitRing,
  SplitDriver,
  type SplitDriverConfig,
  VirtqueueError,
} from '../src/index.ts';
import { RamAllocator } from '../src/testing/index.ts';

const sys = openSys();
const GPA = 0x10_0000;
const SIZE = 4;
const layout = layoutSplitRing(SIZE);

function onDriver(overrides: Partial<SplitDriverConfig>, act: (driver: SplitDriver, ram: TestMemory) => void): void {
  using ram = new TestMemory(sys, { gpa: GPA });
  const driver = new SplitDriver({
    memory: ram.u8,
    memoryGpa: GPA,
    size: SIZE,
    desc: GPA + layout.desc,
    avail: GPA + layout.avail,
    used: GPA + layout.used,
    eventIdx: true,
    indirectTables: -1,
    maxIndirect: 4,
    kick: () => {},
    ...overrides,
  });
  act(driver, ram);
}

const buffers = (count: number): DriverBuffer[] =>
  Array.from({ length: count }, (_, i) => ({ gpa: GPA + 0x2000, len: i + 1, writable: i > 1 }));

/** Plays the device: returns a chain. */
function use(ram: TestMemory, slot: number, id: number): void {
  const used = GPA + layout.used - ram.gpa;
  ram.view.setUint32(used + 4 + 8 * (slot % SIZE), id, true);
  ram.view.setUint16(used + 2, slot + 1, true);
}

describe('SplitDriver', () => {
  it('has room for as many descriptors as the ring, and gets them back', () => {
    onDriver({}, (driver, ram) => {
      expect([driver.add(buffers(3)), driver.freeDescriptors]).to.deep.equal([0, 1]);
      expect([driver.add(buffers(2)), driver.add(buffers(1)), driver.freeDescriptors]).to.deep.equal([-1, 3, 0]);
      driver.publish();
      use(ram, 0, 3);
      use(ram, 1, 0);
      expect([driver.takeUsed(), driver.takeUsed(), driver.takeUsed()]).to.deep.equal([true, true, false]);
      expect([driver.freeDescriptors, driver.inFlight, driver.usedHead]).to.deep.equal([4, 0, 0]);
      expect(driver.add(buffers(4))).to.equal(0);
    });
  });

  it('takes one descriptor for an indirect chain, more for one that no table holds', () => {
    onDriver({ indirectTables: GPA + 0x1000 }, (driver) => {
      driver.add(buffers(4));
      expect(driver.freeDescriptors).to.equal(3);
      driver.add(buffers(1));
      expect(driver.freeDescriptors).to.equal(2);
      expect(driver.add(buffers(5))).to.equal(-1);
      driver.add(buffers(5), 2);
      expect(driver.freeDescriptors).to.equal(1);
    });
  });

  it('refuses chains that a device would refuse', () => {
    onDriver({}, (driver) => {
      expect(() => driver.add([])).to.throw(RangeError);
      expect(() => driver.add(buffers(2), 3)).to.throw(RangeError);
      expect(() => driver.add([...buffers(3), ...buffers(1)])).to.throw(RangeError);
      expect(driver.freeDescriptors).to.equal(SIZE);
    });
  });

  it('refuses what a hostile device returns', () => {
    for (const id of [1, 2, SIZE, 0xffff_ffff]) {
      onDriver({}, (driver, ram) => {
        driver.add(buffers(2));
        driver.publish();
        use(ram, 0, id);
        expect(() => driver.takeUsed())
          .to.throw(VirtqueueError)
          .that.includes({ code: 'ERR_VIRTQ_USED', blame: 'host' });
      });
    }
    onDriver({}, (driver, ram) => {
      driver.add(buffers(2));
      driver.publish();
      use(ram, 0, 0);
      use(ram, 1, 0);
      expect(driver.takeUsed()).to.equal(true);
      expect(() => driver.takeUsed()).to.throw(VirtqueueError);
    });
  });

  it('refuses a ring that is misaligned, or not in its memory', () => {
    for (const part of [
      { size: 3 },
      { desc: GPA + 8 },
      { avail: GPA + 65 },
      { used: GPA + 0x802 },
      { desc: GPA - 16 },
      { used: GPA + 0x10_0000 - 16 },
      { indirectTables: GPA + 8 },
      { indirectTables: GPA + 0x10_0000 - 128 },
    ]) {
      expect(() => onDriver(part, () => {}), JSON.stringify(part)).to.throw(RangeError);
    }
  });

  it('kicks only for what is new', () => {
    let kicks = 0;
    onDriver({ kick: () => kicks++ }, (driver) => {
      driver.publish();
      expect(kicks).to.equal(0);
      driver.add(buffers(1));
      driver.publish();
      driver.publish();
      expect(kicks).to.equal(1);
    });
  });
});

describe('RamAllocator', () => {
  it('never hands out the same bytes twice, and joins what comes back', () => {
    const allocator = new RamAllocator(0x1000, 0x1000);
    const live = new Map<number, number>();
    for (let i = 0; i < 2000; i++) {
      const len = (i * 37) % 200;
      try {
        const gpa = allocator.allocate(len, 1 << (i % 6));
        expect(gpa % (1 << (i % 6))).to.equal(0);
        expect(gpa >= 0x1000 && gpa + len <= 0x2000).to.equal(true);
        for (const [start, size] of live) expect(gpa + len <= start || gpa >= start + size || len === 0).to.equal(true);
        if (len > 0) live.set(gpa, len);
      } catch (error) {
        expect(error).to.be.instanceOf(RangeError);
        const [first] = live.keys();
        allocator.free(first!);
        live.delete(first!);
      }
    }
    for (const gpa of live.keys()) allocator.free(gpa);
    allocator.free(0x1234);
    expect(allocator.allocate(0x1000)).to.equal(0x1000);
  });
});
