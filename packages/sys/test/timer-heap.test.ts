import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { LoopTimer } from '../src/index.ts';
import { TimerHeap } from '../src/loop/timer-heap.ts';

describe('TimerHeap', () => {
  it('runs what is due in order of deadline, then of making, whatever was cancelled', () => {
    const timer = fc.record({ deadline: fc.integer({ min: 0, max: 20 }), cancel: fc.boolean() });
    fc.assert(
      fc.property(fc.array(timer, { maxLength: 60 }), fc.integer({ min: 0, max: 20 }), (specs, now) => {
        const heap = new TimerHeap();
        const ran: number[] = [];
        const timers = specs.map(({ deadline }, index) => heap.add(deadline, () => ran.push(index)));
        specs.forEach(({ cancel }, index) => {
          if (cancel) {
            timers[index]![Symbol.dispose]();
          }
        });
        const alive = specs.map((spec, index) => ({ ...spec, index })).filter((spec) => !spec.cancel);
        const due = alive.filter((spec) => spec.deadline <= now).sort((a, b) => a.deadline - b.deadline);
        expect(heap.size).to.equal(alive.length);
        expect(heap.nextDeadlineNs).to.equal(Math.min(...alive.map((spec) => spec.deadline)));
        expect(heap.run(now)).to.equal(due.length);
        expect(ran).to.deep.equal(due.map((spec) => spec.index));
        expect(heap.size).to.equal(alive.length - due.length);
      }),
    );
  });

  it('leaves timers added by a callback to the next run', () => {
    const heap = new TimerHeap();
    const ran: string[] = [];
    heap.add(1, () => {
      ran.push('first');
      heap.add(0, () => ran.push('second'));
    });
    expect(heap.run(10)).to.equal(1);
    expect(heap.run(10)).to.equal(1);
    expect(ran).to.deep.equal(['first', 'second']);
  });

  it('lets a callback cancel one that is due too', () => {
    const heap = new TimerHeap();
    let second: LoopTimer | undefined;
    let ran = 0;
    heap.add(1, () => second?.[Symbol.dispose]());
    second = heap.add(1, () => ran++);
    expect(heap.run(1)).to.equal(1);
    expect(ran).to.equal(0);
    second[Symbol.dispose]();
    expect(heap.size).to.equal(0);
  });

  it('keeps the rest when a callback throws', () => {
    const heap = new TimerHeap();
    let ran = 0;
    heap.add(1, () => {
      throw new Error('first');
    });
    heap.add(2, () => ran++);
    expect(() => heap.run(5)).to.throw('first');
    expect(heap.run(5)).to.equal(1);
    expect(ran).to.equal(1);
  });

  it('forgets all on clear', () => {
    const heap = new TimerHeap();
    const timer = heap.add(1, () => {});
    heap.clear();
    timer[Symbol.dispose]();
    expect(heap.nextDeadlineNs).to.equal(Number.POSITIVE_INFINITY);
    expect(heap.run(5)).to.equal(0);
  });
});
