/** The packed ring, driver side: its rooms, its kicks, and a device that need not be honest. */
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import { type DriverBuffer, type DriverConfig, layoutPackedRing, PackedDriver } from '../src/index.ts';
import { PackedTestRing } from '../src/testing/index.ts';

const sys = openSys();
const GPA = 0x10_0000;
const SIZE = 5;
const USED = 0x8080;

interface Stage {
  readonly ram: TestMemory;
  readonly ring: PackedTestRing;
  readonly driver: PackedDriver;
  readonly kicks: () => number;
}

function onStage(act: (stage: Stage) => void, overrides: Partial<DriverConfig> = {}): void {
  using ram = new TestMemory(sys, { gpa: GPA });
  let kicks = 0;
  const layout = layoutPackedRing(SIZE);
  const driver = new PackedDriver({
    memory: ram.u8,
    memoryGpa: GPA,
    size: SIZE,
    desc: GPA + layout.desc,
    avail: GPA + layout.avail,
    used: GPA + layout.used,
    eventIdx: false,
    indirectTables: -1,
    maxIndirect: 0,
    kick: () => {
      kicks++;
    },
    ...overrides,
  });
  act({ ram, ring: new PackedTestRing(ram, SIZE), driver, kicks: () => kicks });
}

function buffers(count: number): DriverBuffer[] {
  return Array.from({ length: count }, (_, i) => ({ gpa: GPA + 0x1000 + 64 * i, len: 64, writable: true }));
}

function codeOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).name;
  }
  return 'nothing thrown';
}

describe('PackedDriver', () => {
  it('has room for as many descriptors as the ring, and gets them back', () => {
    onStage(({ driver, ring }) => {
      const [two, three] = [driver.add(buffers(2)), driver.add(buffers(3))];
      expect([driver.freeDescriptors, driver.add(buffers(1)), driver.inFlight]).to.deep.equal([0, -1, 2]);
      driver.publish();
      ring.setDesc(0, { id: three, len: 5, flags: USED });
      expect([driver.takeUsed(), driver.usedHead, driver.usedLen, driver.freeDescriptors]).to.deep.equal([
        true,
        three,
        5,
        3,
      ]);
      expect([driver.takeUsed(), driver.add(buffers(4)), driver.add(buffers(3)) >= 0]).to.deep.equal([false, -1, true]);
      ring.setDesc(3, { id: two, len: 1, flags: USED });
      expect([driver.takeUsed(), driver.usedHead, driver.inFlight]).to.deep.equal([true, two, 1]);
    });
  });

  it('shows nothing before it is published, then all of it', () => {
    onStage(({ driver, ring, kicks }) => {
      driver.add(buffers(1));
      driver.add(buffers(2));
      expect([ring.getDesc(0).flags, kicks()]).to.deep.equal([0, 0]);
      driver.publish();
      expect([0, 1, 2].map((slot) => ring.getDesc(slot).flags & 0x8080)).to.deep.equal([0x80, 0x80, 0x80]);
      driver.publish();
      expect(kicks()).to.equal(1);
    });
  });

  it('puts a chain into a table of its own, with no flag but WRITE', () => {
    onStage(
      ({ driver, ring, ram }) => {
        const id = driver.add(buffers(2));
        driver.publish();
        const { addr, len, flags } = ring.getDesc(0);
        expect([addr, len, flags & 0x7f7f]).to.deep.equal([GPA + 0x8000 + id * 4 * 16, 32, 4]);
        const words = new Uint32Array(ram.at(addr, 32).slice().buffer);
        expect([...words]).to.deep.equal([GPA + 0x1000, 0, 64, 2 << 16, GPA + 0x1040, 0, 64, 2 << 16]);
        expect(driver.freeDescriptors).to.equal(SIZE - 1);
      },
      { indirectTables: GPA + 0x8000, maxIndirect: 4 },
    );
  });

  it('kicks as the device asks: always, never, at a descriptor', () => {
    onStage(
      ({ driver, ram, kicks }) => {
        const area = GPA + layoutPackedRing(SIZE).used;
        const seen: number[] = [];
        for (const [offWrap, flags] of [
          [0, 0],
          [0, 1],
          [0x8002, 2],
          [0x8000, 2],
          [0xffff, 2],
        ] as const) {
          ram.view.setUint16(area - GPA, offWrap, true);
          ram.view.setUint16(area - GPA + 2, flags, true);
          driver.add(buffers(1));
          driver.publish();
          seen.push(kicks());
        }
        expect(seen).to.deep.equal([1, 1, 2, 2, 3]);
      },
      { eventIdx: true },
    );
  });

  it('refuses what a hostile device returns', () => {
    for (const id of [1, SIZE, 0xffff]) {
      onStage(({ driver, ring }) => {
        expect(driver.add(buffers(1))).to.equal(0);
        driver.publish();
        ring.setDesc(0, { id, flags: USED });
        expect(codeOf(() => driver.takeUsed())).to.equal('ERR_VIRTQ_USED');
      });
    }
    onStage(({ driver, ring }) => {
      driver.add(buffers(1));
      driver.publish();
      for (const slot of [0, 1]) ring.setDesc(slot, { id: 0, flags: USED });
      expect([driver.takeUsed(), codeOf(() => driver.takeUsed())]).to.deep.equal([true, 'ERR_VIRTQ_USED']);
    });
  });

  it('refuses chains, sizes and parts that cannot be', () => {
    onStage(({ driver }) => {
      const order = [
        { gpa: GPA, len: 1, writable: true },
        { gpa: GPA, len: 1, writable: false },
      ];
      for (const chain of [[], order]) expect(codeOf(() => driver.add(chain))).to.equal('RangeError');
      expect(codeOf(() => driver.add(buffers(1), 2))).to.equal('RangeError');
    });
    const act = (): void => {};
    for (const wrong of [
      { size: 0 },
      { desc: GPA + 8 },
      { avail: GPA + 2 },
      { used: GPA - 4 },
      { indirectTables: 0, maxIndirect: 1 },
    ]) {
      expect(codeOf(() => onStage(act, wrong))).to.equal('RangeError');
    }
  });
});
