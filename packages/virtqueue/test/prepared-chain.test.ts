import { expect } from 'chai';
import { type DriverBuffer, layoutSplitRing, SplitDriver } from '../src/index.ts';

const SIZE = 4;
const TABLE_ENTRIES = 4;
const DATA = 0x800;

const readable = (gpa: number, len: number): DriverBuffer => ({ gpa, len, writable: false });
const writable = (gpa: number, len: number): DriverBuffer => ({ gpa, len, writable: true });
const REQUEST = [readable(DATA, 16), writable(DATA + 16, 8)];

/** A driver, and the hand that plays its device. */
class Bench {
  readonly memory = new Uint8Array(4096);
  readonly view = new DataView(this.memory.buffer);
  readonly parts = layoutSplitRing(SIZE);
  readonly driver: SplitDriver;
  kicks = 0;
  #used = 0;

  constructor(indirect = true) {
    this.driver = new SplitDriver({
      memory: this.memory,
      memoryGpa: 0,
      size: SIZE,
      desc: this.parts.desc,
      avail: this.parts.avail,
      used: this.parts.used,
      eventIdx: false,
      indirectTables: indirect ? 0x400 : -1,
      maxIndirect: indirect ? TABLE_ENTRIES : 0,
      kick: () => this.kicks++,
    });
  }

  /** Heads in the avail ring, the oldest first. */
  get offered(): number[] {
    const count = this.view.getUint16(this.parts.avail + 2, true);
    return Array.from({ length: count }, (_, i) => this.view.getUint16(this.parts.avail + 4 + 2 * (i % SIZE), true));
  }

  /** Bytes of descriptors and tables. */
  get descriptors(): Buffer {
    return Buffer.concat([this.memory.subarray(0, SIZE * 16), this.memory.subarray(0x400, DATA)]);
  }

  giveBack(head: number, len: number): void {
    const at = this.parts.used + 4 + 8 * (this.#used % SIZE);
    this.view.setUint32(at, head, true);
    this.view.setUint32(at + 4, len, true);
    this.#used++;
    this.view.setUint16(this.parts.used + 2, this.#used, true);
  }
}

describe('a prepared chain', () => {
  for (const indirect of [true, false]) {
    it(`goes into the ring again and again, its descriptors written once (indirect ${indirect})`, () => {
      const bench = new Bench(indirect);
      const { driver } = bench;
      const head = driver.prepare(REQUEST);
      expect(bench.offered).to.deep.equal([]);
      const before = Buffer.from(bench.descriptors);
      for (let i = 1; i <= SIZE; i++) {
        driver.addPrepared(head);
        driver.publish();
        expect([driver.inFlight, bench.kicks]).to.deep.equal([1, i]);
        bench.giveBack(head, i);
        expect(driver.takeUsed()).to.equal(true);
        expect([driver.usedHead, driver.usedLen, driver.inFlight]).to.deep.equal([head, i, 0]);
      }
      expect(bench.offered).to.deep.equal(Array(SIZE).fill(head));
      expect(bench.descriptors.equals(before)).to.equal(true);
    });
  }

  it('keeps its descriptors, also when it is at rest', () => {
    const { driver } = new Bench(false);
    driver.prepare(REQUEST);
    expect(driver.freeDescriptors).to.equal(SIZE - 2);
    expect(driver.prepare([readable(DATA, 1), readable(DATA, 1), readable(DATA, 1)])).to.equal(-1);
    expect(driver.add(REQUEST)).to.be.at.least(0);
    expect(driver.freeDescriptors).to.equal(0);
  });

  it('stands beside chains that come and go', () => {
    const bench = new Bench();
    const { driver } = bench;
    const kept = driver.prepare(REQUEST);
    for (let i = 0; i < 3; i++) {
      const head = driver.add(REQUEST);
      expect(head).not.to.equal(kept);
      driver.addPrepared(kept);
      driver.publish();
      bench.giveBack(kept, 8);
      bench.giveBack(head, 8);
      expect([driver.takeUsed(), driver.usedHead]).to.deep.equal([true, kept]);
      expect([driver.takeUsed(), driver.usedHead]).to.deep.equal([true, head]);
      expect(driver.freeDescriptors).to.equal(SIZE - 1);
    }
  });

  it('is refused while it is in flight, and where nothing was prepared', () => {
    const { driver } = new Bench();
    const kept = driver.prepare(REQUEST);
    driver.addPrepared(kept);
    expect(() => driver.addPrepared(kept)).to.throw(RangeError);
    expect(() => driver.addPrepared(driver.add(REQUEST))).to.throw(RangeError);
    expect(() => driver.addPrepared(SIZE)).to.throw(RangeError);
  });

  it('cannot be returned by a device that does not have it', () => {
    const bench = new Bench();
    const kept = bench.driver.prepare(REQUEST);
    bench.giveBack(kept, 8);
    expect(() => bench.driver.takeUsed())
      .to.throw()
      .with.property('code', 'ERR_VIRTQ_USED');
  });

  it('follows the rules for buffers', () => {
    const { driver } = new Bench();
    expect(() => driver.prepare([])).to.throw(RangeError);
    expect(() => driver.prepare([...REQUEST].reverse())).to.throw(RangeError);
    expect(driver.freeDescriptors).to.equal(SIZE);
  });
});
