/** The bytes of a ring after known operations, written out by hand from VIRTIO 1.3, 2.7. */

import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import { layoutSplitRing, SplitDriver, SplitQueue } from '../src/index.ts';

const sys = openSys();
const GPA = 0x1_0000_0000;
const SIZE = 4;
const layout = layoutSplitRing(SIZE);
const TABLES = GPA + 0x1000;

function hex(ram: TestMemory, gpa: number, len: number): string {
  return Buffer.from(ram.at(gpa, len))
    .toString('hex')
    .replace(/(.{16})(?=.)/g, '$1 ');
}

function driverOn(ram: TestMemory, eventIdx: boolean, indirect: boolean): SplitDriver {
  return new SplitDriver({
    memory: ram.u8,
    memoryGpa: GPA,
    size: SIZE,
    desc: GPA + layout.desc,
    avail: GPA + layout.avail,
    used: GPA + layout.used,
    eventIdx,
    indirectTables: indirect ? TABLES : -1,
    maxIndirect: 4,
    kick: () => {},
  });
}

function queueOn(memory: GuestMemory, eventIdx: boolean): SplitQueue {
  return new SplitQueue(memory, {
    index: 0,
    size: SIZE,
    desc: GPA + layout.desc,
    avail: GPA + layout.avail,
    used: GPA + layout.used,
    addressSpace: 'gpa',
    base: 0,
    eventIdx,
    indirect: true,
    call: () => {},
    onError: (error) => {
      throw error;
    },
  });
}

describe('the bytes of a split ring', () => {
  it('of a direct chain of three, completed with 0x1234 bytes, in flag mode', () => {
    using ram = new TestMemory(sys, { gpa: GPA });
    using memory = new GuestMemory(sys);
    ram.addTo(memory);
    const driver = driverOn(ram, false, false);
    const head = driver.add([
      { gpa: GPA + 0x2000, len: 0x28, writable: false },
      { gpa: GPA + 0x2040, len: 0x10, writable: true },
      { gpa: GPA + 0x3000, len: 0x2000, writable: true },
    ]);
    driver.publish();
    expect(head).to.equal(0);
    const desc = [
      '0020000001000000 2800000001000100',
      '4020000001000000 1000000003000200',
      '0030000001000000 0020000002000000',
      '0000000000000000 0000000000000000',
    ].join(' ');
    expect(hex(ram, GPA, 64)).to.equal(desc);
    expect(hex(ram, GPA + layout.avail, 14)).to.equal('0000010000000000 000000000000');
    const queue = queueOn(memory, false);
    const chain = queue.next()!;
    expect(hex(ram, GPA + layout.used, 4), 'kicks are off while the device works').to.equal('01000000');
    queue.complete(chain, 0x1234);
    expect(queue.next()).to.equal(null);
    expect(hex(ram, GPA + layout.used, 12)).to.equal('0000010000000000 34120000');
    expect(hex(ram, GPA, 64)).to.equal(desc);
  });

  it('of two indirect chains, completed in the other order, with EVENT_IDX', () => {
    using ram = new TestMemory(sys, { gpa: GPA });
    using memory = new GuestMemory(sys);
    ram.addTo(memory);
    const driver = driverOn(ram, true, true);
    const buffers = [
      { gpa: GPA + 0x2000, len: 0x28, writable: false },
      { gpa: GPA + 0x2040, len: 0x10, writable: true },
    ];
    expect([driver.add(buffers), driver.add(buffers)]).to.deep.equal([0, 1]);
    driver.publish();
    expect(hex(ram, GPA, 32)).to.equal('0010000001000000 2000000004000000 4010000001000000 2000000004000000');
    const table = '0020000001000000 2800000001000100 4020000001000000 1000000002000000';
    expect(hex(ram, TABLES, 32)).to.equal(table);
    expect(hex(ram, TABLES + 64, 32)).to.equal(table);
    expect(hex(ram, GPA + layout.avail, 14)).to.equal('0000020000000100 000000000000');
    const queue = queueOn(memory, true);
    const [first, second] = [queue.next()!, queue.next()!];
    queue.complete(second, 16);
    queue.complete(first, 0);
    expect(queue.next()).to.equal(null);
    queue.flush();
    expect(hex(ram, GPA + layout.used, 38)).to.equal(
      '0000020001000000 1000000000000000 0000000000000000 0000000000000000 000000000200',
    );
    expect([driver.takeUsed(), driver.usedHead, driver.usedLen]).to.deep.equal([true, 1, 16]);
    expect([driver.takeUsed(), driver.usedHead, driver.usedLen]).to.deep.equal([true, 0, 0]);
    expect(driver.enableCalls()).to.equal(false);
    expect(hex(ram, GPA + layout.avail + 12, 2), 'used_event').to.equal('0200');
  });
});
