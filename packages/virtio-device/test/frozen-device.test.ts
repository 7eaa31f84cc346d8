import { expect } from 'chai';
import { readFrozenRings } from '../src/survival/frozen-device.ts';

describe('the rings of a process before', () => {
  const good = {
    queues: [{ base: 3, kept: [{ head: 1, written: -1, slots: 2, buffers: [{ gpa: 4096, len: 8, writable: true }] }] }],
    history: { bases: [3], outstanding: [1], moved: [1] },
  };

  it('are read back', () => {
    expect(readFrozenRings(JSON.parse(JSON.stringify(good)), 1)).to.deep.equal(good);
  });

  it('are refused where a number cannot be', () => {
    const bad: unknown[] = [
      null,
      {},
      { ...good, queues: [] },
      { ...good, queues: 7 },
      { ...good, queues: [{ base: -1, kept: [] }] },
      { ...good, queues: [{ base: 1, kept: [{ ...good.queues[0]!.kept[0], head: 65536 }] }] },
      { ...good, queues: [{ base: 1, kept: [{ ...good.queues[0]!.kept[0], buffers: [{ gpa: 0.5, len: 1 }] }] }] },
      { ...good, history: { ...good.history, bases: [1, 2] } },
      { ...good, history: { ...good.history, moved: [2] } },
    ];
    for (const one of bad) {
      expect(() => readFrozenRings(one, 1), JSON.stringify(one)).to.throw('ERR_DEVICE_HANDOVER');
    }
  });
});
