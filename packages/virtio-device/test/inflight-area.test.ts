import { PACKED_RING_START, type RingQueue } from '@oriel/virtqueue';
import { expect } from 'chai';
import { RunHistory } from '../src/run-history.ts';
import { FoundArea } from '../src/survival/inflight-area.ts';

/** An area with this version and, for a split ring, this used index. */
function area(version: number, used = 0): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, version, true);
  view.setUint16(14, used, true);
  return bytes;
}

function queue(state: Partial<Pick<RingQueue, 'outstanding' | 'base' | 'blank'>>): RingQueue {
  return { outstanding: 0, base: 0, blank: false, ...state } as RingQueue;
}

describe('FoundArea', () => {
  const isOf = (bytes: Uint8Array | null, state: Parameters<typeof queue>[0], base = 0): boolean =>
    new FoundArea(bytes).isOf(queue(state), { base }, 0);

  it('is of no driver where there is none, or it is new', () => {
    expect(isOf(null, { outstanding: 3, base: 9 }, 9)).to.equal(false);
    expect(isOf(area(0), { outstanding: 3, base: 9 }, 9)).to.equal(false);
  });

  it('is of the driver that goes on, whatever base the front-end says', () => {
    expect(isOf(area(1, 9), { base: 9 }, 9)).to.equal(true);
    expect(isOf(area(1, 9), { base: 9 }, 0)).to.equal(true);
    expect(isOf(area(1, 0), { outstanding: 2, base: 2 }, 0)).to.equal(true);
  });

  it('is of a driver whose ring stands at the end of a lap of its indexes', () => {
    expect(isOf(area(1, 0), {})).to.equal(true);
    expect(isOf(area(1, 0xffff), {})).to.equal(true);
  });

  it('is left over where the ring is a new one', () => {
    expect(isOf(area(1, 57), {})).to.equal(false);
  });

  it('of a packed ring goes by whether the ring is blank, once a chain was taken', () => {
    const packed = (blank: boolean, taken: number): boolean => {
      const bytes = area(1);
      // `num` of the first entry.
      new DataView(bytes.buffer).setUint16(38, taken, true);
      const state = { base: PACKED_RING_START, blank };
      return new FoundArea(bytes).isOf(queue(state), { base: PACKED_RING_START }, PACKED_RING_START);
    };
    expect([packed(false, 1), packed(true, 1), packed(true, 0)]).to.deep.equal([true, false, true]);
  });
});

describe('RunHistory, where the in-flight area tells', () => {
  const start = { base: 0, outstanding: 2, blank: false, known: true };

  it('never takes a driver that comes back for a new one', () => {
    const history = new RunHistory(1);
    expect(history.fresh(0, start)).to.equal(false);
    history.stopped(0, 7, 0, true);
    history.begin();
    expect(history.judge(0, { ...start, outstanding: 0 })).to.equal('continue');
  });

  it('goes on in another process with what it knew', () => {
    const history = new RunHistory(2);
    history.stopped(1, 7, 0, true);
    const next = new RunHistory(2, JSON.parse(JSON.stringify(history.state)));
    next.begin();
    expect(next.open).to.equal(true);
    expect(next.judge(1, { base: 0, outstanding: 0, blank: false })).to.equal('reset');
  });
});
