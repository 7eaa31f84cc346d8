import { expect } from 'chai';
import fc from 'fast-check';
import { DescriptorClock } from '../src/descriptor-clock.ts';

/** What the clock should do, with a plain list: the hand is at its start. */
class Model {
  readonly ring: number[] = [];
  readonly used = new Set<number>();

  take(): number {
    while (this.ring.length > 0) {
      const fd = this.ring.shift()!;
      if (!this.used.delete(fd)) {
        return fd;
      }
      this.ring.push(fd);
    }
    return -1;
  }
}

const steps = fc.array(fc.record({ kind: fc.constantFrom('add', 'add', 'touch', 'take', 'remove'), fd: fc.nat(12) }), {
  maxLength: 80,
});

describe('DescriptorClock', () => {
  it('passes what was used, once, and takes the rest in the order in which it came', () => {
    const clock = new DescriptorClock();
    for (const fd of [5, 700, 3]) {
      clock.add(fd, fd * 10);
    }
    clock.touch(5);
    clock.touch(3);

    expect([clock.take(), clock.take(), clock.take(), clock.take()]).to.deep.equal([700, 5, 3, -1]);
    expect(clock.owner(700)).to.equal(7000);
    expect(clock.empty).to.equal(true);
  });

  it('does as a list would (property)', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const clock = new DescriptorClock();
        const model = new Model();
        for (const { kind, fd } of list) {
          const known = model.ring.indexOf(fd);
          if (kind === 'add') {
            clock.add(fd, fd);
            if (known < 0) {
              model.used.delete(fd);
              model.ring.push(fd);
            }
          } else if (kind === 'touch' && known >= 0) {
            clock.touch(fd);
            model.used.add(fd);
          } else if (kind === 'remove') {
            clock.remove(fd);
            if (known >= 0) {
              model.ring.splice(known, 1);
            }
          } else if (kind === 'take') {
            expect(clock.take()).to.equal(model.take());
          }
          expect(clock.has(fd)).to.equal(model.ring.includes(fd));
          expect(clock.empty).to.equal(model.ring.length === 0);
        }
      }),
    );
  });
});
