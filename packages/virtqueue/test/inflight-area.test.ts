/** What stands in an in-flight area, byte by byte, and areas that someone else wrote. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { inflightBytes, VirtqueueError } from '../src/index.ts';
import { DescStatePacked, DescStateSplit, QueueRegionPacked, QueueRegionSplit } from '../src/layout.ts';
import { MockDriver, type MockQueue } from '../src/testing/index.ts';
import { sys } from './stage.ts';

const SIZE = 4;

interface Rig {
  readonly end: MockQueue;
  readonly area: Uint8Array;
  readonly view: DataView;
}

/** A device with chains 1 and 3 of four in flight, which then is no more. */
function withTwoLeft(packed: boolean, act: (rig: Rig) => void): void {
  using _leaks = leakCheck();
  using driver = new MockDriver(sys, { packed, size: SIZE, ramBytes: 0x2_0000 });
  const end = driver.queue(0);
  const area = new Uint8Array(inflightBytes(packed, SIZE));
  const queue = end.openDevice({ inflight: area });
  const heads = Array.from({ length: SIZE }, (_, i) => end.send([Buffer.of(i)], [1]));
  const chains = heads.map(() => queue.next()!);
  queue.complete(chains[2]!, 0);
  queue.complete(chains[0]!, 0);
  act({ end, area, view: new DataView(area.buffer) });
}

/** The code with which a device refuses the area, or null. */
function refusal({ end, area }: Rig, base?: number): string | null {
  try {
    end.openDevice({ inflight: area, ...(base === undefined ? {} : { base }) });
    return null;
  } catch (error) {
    if (!(error instanceof VirtqueueError)) throw error;
    return `${error.code} ${error.blame}`;
  }
}

const REFUSED = 'ERR_VIRTQ_INFLIGHT frontend';

describe('in-flight area', () => {
  it('has the length that the layouts give, in steps of 64 bytes', () => {
    expect([1, 3, 4, 256, 32768].map((size) => inflightBytes(false, size))).to.deep.equal([64, 64, 128, 4160, 524352]);
    expect([1, 3, 4, 256, 32768].map((size) => inflightBytes(true, size))).to.deep.equal([64, 128, 192, 8256, 1048640]);
    for (const size of [0, 32769, 1.5]) expect(() => inflightBytes(false, size)).to.throw(RangeError);
  });

  it('is laid out as C would lay out the structures of vhost-user', () => {
    const { byteLength, lastBatchHead, usedIdx } = QueueRegionSplit;
    expect([byteLength, lastBatchHead.offset, usedIdx.offset]).to.deep.equal([16, 12, 14]);
    expect([DescStateSplit.byteLength, DescStateSplit.next.offset, DescStateSplit.counter.offset]).to.deep.equal([
      16, 6, 8,
    ]);
    const packed = QueueRegionPacked;
    expect([packed.byteLength, packed.oldUsedIdx.offset, packed.oldUsedWrapCounter.offset]).to.deep.equal([32, 18, 21]);
    const { last, num, counter, id, flags, len, addr } = DescStatePacked;
    expect([last, num, counter, id, flags, len, addr].map(({ offset }) => offset)).to.deep.equal([
      4, 6, 8, 16, 18, 20, 24,
    ]);
    expect(DescStatePacked.byteLength).to.equal(32);
  });

  it('holds what is in flight (split)', () => {
    withTwoLeft(false, ({ view }) => {
      const entries = Array.from({ length: SIZE }, (_, i) => 16 + i * 16);
      expect(entries.map((at) => DescStateSplit.inflight.get(view, at))).to.deep.equal([0, 1, 0, 1]);
      expect(entries.map((at) => DescStateSplit.counter.get(view, at))).to.deep.equal([0, 1, 2, 3]);
      const { version, descNum, lastBatchHead, usedIdx } = QueueRegionSplit;
      expect([version, descNum, lastBatchHead, usedIdx].map((f) => f.get(view, 0))).to.deep.equal([1, SIZE, 0, 2]);
      expect(DescStateSplit.next.get(view, 16)).to.equal(2);
    });
  });

  it('holds what is in flight, and the descriptors (packed)', () => {
    withTwoLeft(true, ({ view, end }) => {
      const entries = Array.from({ length: SIZE }, (_, i) => 32 + i * 32);
      expect(entries.map((at) => DescStatePacked.inflight.get(view, at))).to.deep.equal([0, 1, 0, 1]);
      expect(entries.map((at) => DescStatePacked.num.get(view, at))).to.deep.equal([1, 1, 1, 1]);
      const { version, descNum, freeHead, oldFreeHead, usedIdx, oldUsedIdx } = QueueRegionPacked;
      const head = [version, descNum, freeHead, oldFreeHead, usedIdx, oldUsedIdx];
      expect(head.map((f) => f.get(view, 0))).to.deep.equal([1, SIZE, 0, 0, 2, 2]);
      expect([0, 2].map((entry) => DescStatePacked.next.get(view, entries[entry]!))).to.deep.equal([2, SIZE]);
      const left = end.openDevice({ inflight: new Uint8Array(view.buffer) });
      const tokens = [1, 3].map(() => {
        const byte = new Uint8Array(1);
        const chain = left.next()!;
        chain.read(0, byte, 0, 1);
        return [chain.again, byte[0]];
      });
      expect(tokens).to.deep.equal([
        [true, 1],
        [true, 3],
      ]);
    });
  });

  for (const packed of [false, true]) {
    const format = packed ? 'packed' : 'split';
    const header = packed ? QueueRegionPacked : QueueRegionSplit;

    it(`gives chains in the order in which they were taken, counts them, and leaves them to the next (${format})`, () => {
      withTwoLeft(packed, ({ end, area }) => {
        const queue = end.openDevice({ inflight: area, base: 0x0003_0003 & (packed ? 0xffff_ffff : 0xffff) });
        expect([queue.outstanding, queue.inFlight, queue.hasWork]).to.deep.equal([2, 0, true]);
        const first = queue.next()!;
        expect([first.again, queue.unfetch(first), queue.inFlight]).to.deep.equal([true, false, 1]);
        const head = queue.keep(first);
        queue.stop();
        const next = end.openDevice({ ...queue.state, inflight: area });
        expect([next.takeBack(head)!.again, next.takeBack(head)]).to.deep.equal([false, null]);
        expect([next.next()!.again, next.next(), next.hasWork]).to.deep.equal([true, null, false]);
        expect([end.errors, next.healthy]).to.deep.equal([[], true]);
      });
    });

    it(`REJECT: too short, not aligned, of another version or another ring (${format})`, () => {
      withTwoLeft(packed, (rig) => {
        const { area, view, end } = rig;
        expect(refusal({ ...rig, area: area.subarray(0, -1) })).to.equal(REFUSED);
        const moved = new Uint8Array(area.length + 8);
        moved.set(area, 4);
        expect(refusal({ ...rig, area: moved.subarray(4, -4) })).to.equal(REFUSED);
        for (const [field, value] of [
          [header.version, 2],
          [header.features, 1],
          [header.descNum, SIZE / 2],
        ] as const) {
          const was = field.get(view, 0);
          field.set(view, 0, value);
          expect(refusal(rig)).to.equal(REFUSED);
          field.set(view, 0, was);
        }
        expect([refusal(rig), end.errors]).to.deep.equal([null, []]);
      });
    });

    it(`REJECT: a new area for a ring whose driver waits for chains that nobody kept (${format})`, () => {
      withTwoLeft(packed, (rig) => {
        rig.area.fill(0);
        expect(refusal(rig, packed ? 0x8001_8003 : 4)).to.equal(REFUSED);
        expect(refusal(rig, packed ? 0x8000_8000 : 2)).to.equal(null);
      });
    });

    it(`REJECT or PASS: anything that a front-end may write there (${format})`, () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1 }), (writes) => {
          withTwoLeft(packed, (rig) => {
            for (const [at, value] of writes) rig.area[at % rig.area.length] = value;
            survives(rig);
          });
        }),
        { numRuns: 400 },
      );
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 192, maxLength: 192 }), (bytes) => {
          withTwoLeft(packed, (rig) => {
            // A header that is looked behind.
            const head = rig.area.slice(0, 12);
            rig.area.set(bytes.subarray(0, rig.area.length));
            rig.area.set(head);
            survives(rig);
          });
        }),
        { numRuns: 400 },
      );
    });
  }

  it('PASS: a ring that starts anew with an area where nothing is in flight (split)', () => {
    using driver = new MockDriver(sys, { size: SIZE });
    const area = new Uint8Array(inflightBytes(false, SIZE));
    const end = driver.queue(0);
    const queue = end.openDevice({ inflight: area });
    end.send([Buffer.of(1)]);
    queue.complete(queue.next()!, 0);
    queue.stop();
    driver.ram.at(end.desc, 256).fill(0);
    const next = end.openDevice({ inflight: area });
    expect([next.base, next.outstanding, next.next()]).to.deep.equal([0, 0, null]);
  });

  it('REJECT: a ring that starts anew with an area where chains are in flight (split)', () => {
    withTwoLeft(false, (rig) => {
      QueueRegionSplit.usedIdx.set(rig.view, 0, 100);
      expect(refusal(rig)).to.equal(REFUSED);
    });
  });

  it('PASS: counters at their end; only the order may suffer', () => {
    for (const packed of [false, true]) {
      withTwoLeft(packed, ({ end, area, view }) => {
        const counter = packed ? 32 + 32 + 8 : 16 + 16 + 8;
        view.setUint32(counter, 0xffff_ffff, true);
        view.setUint32(counter + 4, 0xffff_ffff, true);
        const queue = end.openDevice({ inflight: area });
        for (let chain = queue.next(); chain !== null; chain = queue.next()) queue.complete(chain, 0);
        expect([end.receiveAll().length, queue.stats.completed]).to.deep.equal([4, 2]);
      });
    }
  });
});

/** Refused at set-up, or the device works on what it finds and ends: no crash, no hang, nothing outside of the ring. */
function survives(rig: Rig): void {
  if (refusal(rig) !== null) return;
  const queue = rig.end.openDevice({ inflight: rig.area });
  let taken = 0;
  for (let chain = queue.next(); chain !== null; chain = queue.next()) {
    taken++;
    rig.area.fill(0xff);
    queue.complete(chain, 0);
  }
  queue.stop();
  expect(taken).to.be.at.most(SIZE + 1);
}
