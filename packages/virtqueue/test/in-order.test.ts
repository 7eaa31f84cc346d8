/** VIRTIO_F_IN_ORDER: what the device holds back, and what a driver makes of a device that uses whole batches. */
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import {
  type DriverConfig,
  layoutPackedRing,
  layoutSplitRing,
  PackedDriver,
  type RingDriver,
  SplitDriver,
} from '../src/index.ts';
import { MockDriver, PackedTestRing, TestRing } from '../src/testing/index.ts';

const sys = openSys();
const SIZE = 8;
const GPA = 0x10_0000;

/** Takes all that came back: head and length of each. */
function takeAll(driver: RingDriver): number[][] {
  const all: number[][] = [];
  while (driver.takeUsed()) all.push([driver.usedHead, driver.usedLen]);
  return all;
}

/** A driver in order over a ring that the test plays the device of. */
function driverOn(ram: TestMemory, packed: boolean): RingDriver {
  const layout = packed ? layoutPackedRing(SIZE) : layoutSplitRing(SIZE);
  const config: DriverConfig = {
    memory: ram.u8,
    memoryGpa: GPA,
    size: SIZE,
    desc: GPA + layout.desc,
    avail: GPA + layout.avail,
    used: GPA + layout.used,
    eventIdx: false,
    inOrder: true,
    indirectTables: -1,
    maxIndirect: 0,
    kick: () => {},
  };
  return packed ? new PackedDriver(config) : new SplitDriver(config);
}

/** A chain of `count` writable buffers of 100 bytes. */
function add(driver: RingDriver, count: number): number {
  return driver.add(
    Array.from({ length: count }, (_, i) => ({ gpa: GPA + 0x1000 + i * 100, len: 100, writable: true })),
  );
}

describe('IN_ORDER', () => {
  for (const packed of [false, true]) {
    const name = packed ? 'packed' : 'split';

    it(`holds back what is completed before its turn, and calls when it is there (${name})`, () => {
      using driver = new MockDriver(sys, { packed, inOrder: true, size: 8 });
      const end = driver.queue(0);
      const queue = end.openDevice({ callBatch: 1 });
      const heads = [1, 2, 3, 4].map((byte) => end.send([Buffer.of(byte)], [4]));
      const chains = heads.map(() => queue.next()!);
      for (const i of [3, 1]) queue.complete(chains[i]!, i);
      queue.flush();
      expect([end.calls, end.receiveAll(), queue.inFlight, queue.outstanding > 0]).to.deep.equal([0, [], 2, true]);
      queue.complete(chains[0]!, 0);
      expect([end.calls > 0, end.receiveAll().map((r) => [r.head, r.written])]).to.deep.equal([
        true,
        [
          [heads[0], 0],
          [heads[1], 1],
        ],
      ]);
      queue.complete(chains[2]!, 2);
      expect(end.receiveAll().map((r) => [r.head, r.written])).to.deep.equal([
        [heads[2], 2],
        [heads[3], 3],
      ]);
      expect([queue.outstanding, end.errors]).to.deep.equal([0, []]);
    });

    it(`refuses a chain that is held back when it is offered again (${name})`, () => {
      using ram = new TestMemory(sys, { gpa: GPA });
      using mock = new MockDriver(sys, { packed, inOrder: true, indirect: false, size: 8 });
      const end = mock.queue(0);
      const queue = end.openDevice();
      for (const byte of [1, 2]) end.send([Buffer.of(byte)]);
      const [, second] = [queue.next()!, queue.next()!];
      queue.complete(second, 0);
      const ring = packed ? new PackedTestRing(mock.ram, 8, end.desc) : new TestRing(mock.ram, 8, end.desc);
      if (ring instanceof PackedTestRing) {
        ring.next = 2;
        ring.offer({ addr: ram.gpa, len: 1, id: second.head });
      } else {
        ring.offer(second.head);
      }
      expect([queue.next(), end.errors.map((e) => e.code)]).to.deep.equal([null, ['ERR_VIRTQ_HEAD']]);
    });

    it(`lets a driver take a batch that came with one used entry (${name})`, () => {
      using ram = new TestMemory(sys, { gpa: GPA });
      const driver = driverOn(ram, packed);
      const heads = [add(driver, 1), add(driver, 2), add(driver, 1)];
      driver.publish();
      // The device names the second chain only: it used the first one whole.
      if (packed) {
        new PackedTestRing(ram, SIZE).setDesc(0, { id: heads[1]!, len: 7, flags: 0x8082 });
      } else {
        const ring = new TestRing(ram, SIZE);
        ram.view.setUint32(ring.used - GPA + 4, heads[1]!, true);
        ram.view.setUint32(ring.used - GPA + 8, 7, true);
        ring.usedIdx = 2;
      }
      expect(driver.enableCalls()).to.equal(true);
      expect(takeAll(driver)).to.deep.equal([
        [heads[0], 100],
        [heads[1], 7],
      ]);
      expect([driver.inFlight, driver.freeDescriptors, driver.enableCalls()]).to.deep.equal([1, SIZE - 1, false]);
      // The next entry stands behind the batch: two entries, or three descriptors.
      if (packed) {
        new PackedTestRing(ram, SIZE).setDesc(3, { id: heads[2]!, len: 9, flags: 0x8082 });
      } else {
        const ring = new TestRing(ram, SIZE);
        ram.view.setUint32(ring.used - GPA + 4 + 16, heads[2]!, true);
        ram.view.setUint32(ring.used - GPA + 8 + 16, 9, true);
        ring.usedIdx = 3;
      }
      expect(takeAll(driver)).to.deep.equal([[heads[2], 9]]);
    });
  }

  it('uses the descriptors of a split ring in the order of its table, round and round', () => {
    using mock = new MockDriver(sys, { inOrder: true, indirect: false, size: 8 });
    const end = mock.queue(0);
    const queue = end.openDevice();
    const heads: number[] = [];
    for (let i = 0; i < 12; i++) {
      heads.push(end.send([Buffer.of(1)], [1, 1]));
      heads.push(end.send([Buffer.of(1)]));
      for (let chain = queue.next(); chain !== null; chain = queue.next()) queue.complete(chain, 0);
      end.receiveAll();
    }
    let next = 0;
    for (const [i, head] of heads.entries()) {
      expect(head).to.equal(next);
      next = (next + (i % 2 === 0 ? 3 : 1)) % 8;
    }
  });

  it('prepares no chain', () => {
    using ram = new TestMemory(sys, { gpa: GPA });
    const driver = driverOn(ram, false) as SplitDriver;
    expect(() => driver.prepare([{ gpa: GPA, len: 1, writable: false }])).to.throw(RangeError);
  });
});
