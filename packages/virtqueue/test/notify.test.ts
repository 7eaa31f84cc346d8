import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import type { QueueConfig } from '../src/index.ts';
import { MockDriver } from '../src/testing/index.ts';

const sys = openSys();
const BYTE = [Buffer.of(1)];

interface Mode {
  readonly packed: boolean;
  readonly eventIdx: boolean;
}

const modes: readonly Mode[] = [false, true].flatMap((packed) => [
  { packed, eventIdx: true },
  { packed, eventIdx: false },
]);

const nameOf = ({ packed, eventIdx }: Mode): string =>
  `${packed ? 'packed' : 'split'}, ${eventIdx ? 'event idx' : 'flag'}`;

/** Sends `count` chains as one batch; the device takes and returns all of them. @returns calls after each, and after flush */
function callsOf(mode: Mode, count: number, config: Partial<QueueConfig> = {}): number[] {
  using driver = new MockDriver(sys, { ...mode, size: 64 });
  const end = driver.queue(0);
  const queue = end.openDevice(config);
  for (let i = 0; i < count; i++) end.post(BYTE);
  end.driver.publish();
  expect(end.kicks).to.equal(1);
  const seen: number[] = [];
  for (let chain = queue.next(); chain !== null; chain = queue.next()) {
    const before = end.calls;
    queue.complete(chain, 0);
    seen.push(end.calls);
    if (end.calls === before) continue;
    // The call wakes the driver, which asks for the next one.
    end.receiveAll();
    end.driver.enableCalls();
  }
  queue.flush();
  seen.push(end.calls);
  expect([queue.stats.chains, queue.stats.completed, queue.stats.calls]).to.deep.equal([count, count, end.calls]);
  return seen;
}

describe('calls', () => {
  for (const mode of modes) {
    describe(`(${nameOf(mode)})`, () => {
      it('come after the first completion, every eighth, and at the flush', () => {
        expect(callsOf(mode, 1)).to.deep.equal([1, 1]);
        expect(callsOf(mode, 4)).to.deep.equal([1, 1, 1, 1, 2]);
        expect(callsOf(mode, 19)).to.deep.equal([...Array(8).fill(1), ...Array(8).fill(2), ...Array(3).fill(3), 4]);
        expect(callsOf(mode, 17)).to.deep.equal([...Array(8).fill(1), ...Array(8).fill(2), 3, 3]);
      });

      it('come as often as callBatch says', () => {
        expect(callsOf(mode, 4, { callBatch: 1 })).to.deep.equal([1, 2, 3, 4, 4]);
        expect(callsOf(mode, 4, { callBatch: 2 })).to.deep.equal([1, 1, 2, 2, 3]);
        expect(callsOf(mode, 30, { callBatch: 1000 })).to.deep.equal([...Array(30).fill(1), 2]);
      });

      it('stay away when the driver asks for none', () => {
        using driver = new MockDriver(sys, mode);
        const end = driver.queue(0);
        const queue = end.openDevice({ callBatch: 1 });
        end.send(BYTE);
        queue.complete(queue.next()!, 0);
        end.receiveAll();
        end.driver.disableCalls();
        const { calls } = end;
        for (let i = 0; i < 5; i++) {
          end.send(BYTE);
          queue.complete(queue.next()!, 0);
          queue.flush();
        }
        expect([end.calls, queue.stats.callsSuppressed]).to.deep.equal([calls, 5]);
        expect(end.driver.enableCalls(), 'some came meanwhile').to.equal(true);
        end.receiveAll();
        expect(end.driver.enableCalls()).to.equal(false);
        end.send(BYTE);
        queue.complete(queue.next()!, 0);
        expect(end.calls).to.equal(calls + 1);
      });
    });
  }

  it('go to a used_event in the middle of a batch', () => {
    using driver = new MockDriver(sys, { eventIdx: true });
    const end = driver.queue(0);
    const queue = end.openDevice({ callBatch: 4 });
    for (let i = 0; i < 12; i++) end.post(BYTE);
    end.driver.publish();
    const usedEvent = new DataView(driver.ram.u8.buffer, end.avail - driver.ram.gpa + 4 + 2 * end.size, 2);
    usedEvent.setUint16(0, 6, true);
    const calls: number[] = [];
    for (let i = 0; i < 12; i++) {
      queue.complete(queue.next()!, 0);
      calls.push(end.calls);
    }
    // The first call of a queue is unconditional: what the driver waited for before is not known.
    expect(calls).to.deep.equal([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
  });
});

describe('kicks', () => {
  it('by avail_event come only after the ring was seen empty', () => {
    using driver = new MockDriver(sys, { eventIdx: true });
    const end = driver.queue(0);
    const queue = end.openDevice();
    end.send(BYTE);
    expect(end.kicks).to.equal(1);
    const first = queue.next()!;
    end.send(BYTE);
    expect(end.kicks, 'the device has not looked again').to.equal(1);
    const second = queue.next()!;
    expect(queue.next()).to.equal(null);
    end.send(BYTE);
    end.send(BYTE);
    expect(end.kicks, 'one for two: the device is on its way').to.equal(2);
    queue.complete(first, 0);
    queue.complete(second, 0);
  });

  it('by flag are off while the device works, and on when the ring was seen empty, or the queue stopped', () => {
    using driver = new MockDriver(sys, { eventIdx: false });
    const end = driver.queue(0);
    const queue = end.openDevice();
    const flags = (): number => driver.ram.view.getUint16(end.used - driver.ram.gpa, true);
    end.send(BYTE);
    expect([end.kicks, flags()]).to.deep.equal([1, 0]);
    queue.complete(queue.next()!, 0);
    end.send(BYTE);
    expect([end.kicks, flags()]).to.deep.equal([1, 1]);
    queue.complete(queue.next()!, 0);
    expect(queue.next()).to.equal(null);
    expect(flags()).to.equal(0);
    end.send(BYTE);
    expect(end.kicks).to.equal(2);
    queue.complete(queue.next()!, 0);
    expect(flags()).to.equal(1);
    queue.stop();
    expect(flags()).to.equal(0);
  });

  it('are asked for by a queue that starts over a ring where they were off', () => {
    using driver = new MockDriver(sys, { eventIdx: false });
    const end = driver.queue(0);
    driver.ram.view.setUint16(end.used - driver.ram.gpa, 1, true);
    const queue = end.openDevice();
    expect(queue.next()).to.equal(null);
    expect(driver.ram.view.getUint16(end.used - driver.ram.gpa, true)).to.equal(0);
  });

  for (const mode of modes) {
    const name = nameOf(mode);

    it(`are not asked of a driver that answers a call with its next chain (${name})`, () => {
      using driver = new MockDriver(sys, mode);
      const end = driver.queue(0);
      const queue = end.openDevice();
      end.driver.enableCalls();
      end.onCall = () => {
        end.receiveAll();
        end.driver.enableCalls();
        if (queue.stats.chains < 10) end.send(BYTE);
      };
      end.send(BYTE);
      for (let chain = queue.next(); chain !== null; chain = queue.next()) queue.complete(chain, 0);
      expect([queue.stats.chains, end.calls, end.kicks]).to.deep.equal([10, 10, 1]);
    });

    it(`stay as they are while the queue is quiet, until it asks (${name})`, () => {
      using driver = new MockDriver(sys, mode);
      const end = driver.queue(0);
      const queue = end.openDevice();
      end.send(BYTE);
      queue.complete(queue.next()!, 0);
      const { kicks } = end;
      queue.quiet = true;
      expect(queue.next()).to.equal(null);
      end.send(BYTE);
      expect([end.kicks, queue.hasWork]).to.deep.equal([kicks, true]);
      expect(queue.askForKicks(), 'it is there already').to.equal(true);
      queue.complete(queue.next()!, 0);
      expect(queue.askForKicks()).to.equal(false);
      end.send(BYTE);
      expect(end.kicks).to.equal(kicks + 1);
      queue.stop();
      expect(queue.askForKicks()).to.equal(false);
    });
  }

  it('missed between the look and the sleep are seen by the second look', () => {
    for (const mode of modes) {
      using driver = new MockDriver(sys, mode);
      const end = driver.queue(0);
      const queue = end.openDevice();
      const { load } = Atomics;
      let looks = 0;
      // The driver publishes between the first look and the request for a kick.
      Atomics.load = ((array: Uint16Array, index: number) => {
        const value = load(array, index);
        if (looks++ === 0) {
          Atomics.load = load;
          end.send(BYTE);
        }
        return value;
      }) as typeof Atomics.load;
      try {
        const chain = queue.next();
        expect(chain?.readBytes, nameOf(mode)).to.equal(1);
      } finally {
        Atomics.load = load;
      }
    }
  });

  it('and calls never leave either side asleep with work (property)', () => {
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.record({ who: fc.constant('post' as const), count: fc.integer({ min: 1, max: 6 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({ who: fc.constant('device' as const), count: fc.integer({ min: 1, max: 9 }) }),
      },
      { weight: 3, arbitrary: fc.record({ who: fc.constant('driver' as const), count: fc.constant(0) }) },
    );
    for (const mode of modes) {
      fc.assert(
        fc.property(fc.array(action, { maxLength: 80 }), fc.integer({ min: 1, max: 9 }), (actions, callBatch) => {
          using driver = new MockDriver(sys, { ...mode, size: 8, ramBytes: 0x2_0000 });
          const end = driver.queue(0);
          const queue = end.openDevice({ callBatch });
          let kicked = false;
          let called = false;
          let sent = 0;
          let received = 0;
          end.onKick = () => {
            kicked = true;
          };
          end.onCall = () => {
            called = true;
          };
          // Each side runs only when it was woken, as behind an eventfd.
          const runDevice = (budget: number): void => {
            if (!kicked) return;
            for (let left = budget; left > 0; left--) {
              const chain = queue.next();
              if (chain === null) {
                kicked = false;
                break;
              }
              queue.complete(chain, 0);
            }
            queue.flush();
          };
          const runDriver = (): void => {
            if (!called) return;
            called = false;
            end.driver.disableCalls();
            do received += end.receiveAll().length;
            while (end.driver.enableCalls());
          };
          for (const { who, count } of actions) {
            if (who === 'device') runDevice(count);
            else if (who === 'driver') runDriver();
            else {
              const room = Math.min(count, end.driver.freeDescriptors);
              for (let i = 0; i < room; i++) end.post(BYTE);
              sent += room;
              end.driver.publish();
            }
          }
          for (let turn = 0; turn < 4; turn++) {
            runDevice(100);
            runDriver();
          }
          expect([received, kicked, called]).to.deep.equal([sent, false, false]);
        }),
        { numRuns: 300 },
      );
    }
  });
});
