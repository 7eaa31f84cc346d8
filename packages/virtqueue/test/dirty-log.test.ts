/**
 * The dirty log against a model of live migration: a second memory gets only those pages that were marked, and what the driver
 * wrote. In the end it must be equal to the first.
 */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Chain, type DirtyLog, inflightBytes } from '../src/index.ts';
import { MockDriver } from '../src/testing/index.ts';
import { sys } from './stage.ts';
import { StoreSteps } from './store-steps.ts';

/** Small, so that a missing mark is not hidden by its neighbours. */
const PAGE = 2;

interface Format {
  readonly packed: boolean;
  readonly inOrder: boolean;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
}

type Step = 'send' | 'take' | 'complete' | 'flush' | 'receive' | 'sync' | 'kill' | 'off' | 'stop';

function migrate(format: Format, steps: readonly Step[], kill: number): void {
  using _leaks = leakCheck();
  using driver = new MockDriver(sys, { ...format, size: 4, maxIndirect: 8, ramBytes: 0x4000 });
  const { ram } = driver;
  const end = driver.queue(0);
  const inflight = new Uint8Array(inflightBytes(format.packed, 4));
  const stores = new StoreSteps([driver.memory.find(ram.gpa)!.u8.buffer, inflight.buffer]);
  const target = ram.u8.slice();
  const marked = new Set<number>();
  const mark = (gpa: number, len: number): void => {
    expect(len).to.be.greaterThan(0);
    for (let at = gpa - ram.gpa; at < gpa - ram.gpa + len; at++) marked.add(Math.floor(at / PAGE));
  };
  const dirty: DirtyLog = { mark, markRingAt: mark };
  const sync = (): void => {
    for (const page of marked) target.set(ram.u8.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
    marked.clear();
  };
  /** What the driver writes is known to the front-end by other means. */
  const byDriver = (act: () => void): void => {
    const before = ram.u8.slice();
    act();
    for (let at = 0; at < before.length; at++) if (before[at] !== ram.u8[at]) marked.add(Math.floor(at / PAGE));
  };
  const open = () => end.openDevice({ inflight, dirty });
  let queue = open();
  const held: Chain[] = [];
  const kept: number[] = [];
  const complete = (): void => {
    const chain = held.pop();
    if (chain === undefined) return;
    // More than it tells: a read that failed half-way.
    const { writeBytes } = chain;
    chain.write(0, Buffer.alloc(writeBytes, 0x5a + chain.head), 0, writeBytes);
    queue.complete(chain, 20);
  };
  for (const step of steps) {
    if (step === 'send') {
      if (end.driver.freeDescriptors < 3 || end.driver.inFlight > 3) continue;
      byDriver(() => end.send([Buffer.of(1, 2, 3)], [13, 40]));
    } else if (step === 'receive') {
      byDriver(() => end.receiveAll());
    } else if (step === 'take') {
      const chain = queue.next();
      if (chain !== null) held.push(chain);
    } else if (step === 'complete') {
      complete();
    } else if (step === 'flush') {
      queue.flush();
    } else if (step === 'sync') {
      sync();
    } else if (step === 'off') {
      // A second migration: the log begins while the queue runs, with a copy of everything.
      queue.dirty = null;
      complete();
      queue.dirty = dirty;
      for (let page = 0; page < ram.size / PAGE; page++) marked.add(page);
    } else if (step === 'stop') {
      kept.push(...held.splice(0).map((chain) => queue.keep(chain)));
      queue.stop();
      queue = open();
      for (const head of kept.splice(0)) held.push(queue.takeBack(head)!);
    } else {
      held.length = 0;
      stores.run(kill, () => {
        queue = open();
        for (let chain = queue.next(); chain !== null; chain = queue.next()) held.push(chain);
        while (held.length > 0) complete();
      });
      held.length = 0;
      queue = open();
    }
    expect(end.errors).to.deep.equal([]);
  }
  for (let chain = queue.next(); chain !== null; chain = queue.next()) held.push(chain);
  while (held.length > 0) complete();
  queue.stop();
  sync();
  const wrong = target.findIndex((byte, at) => byte !== ram.u8[at]);
  expect(
    wrong < 0 ? null : `offset ${wrong}, ring at ${[end.desc, end.avail, end.used].map((gpa) => gpa - ram.gpa)}`,
  ).to.equal(null);
}

describe('dirty log', () => {
  for (const packed of [false, true]) {
    for (const inOrder of [false, true]) {
      for (const indirect of [false, true]) {
        for (const eventIdx of [false, true]) {
          const format = { packed, inOrder, indirect, eventIdx };
          const on = Object.entries(format).filter(([, value]) => value);
          it(`has every byte that a device writes, also of one that is killed (${on.map(([name]) => name).join(', ')})`, () => {
            for (let kill = 1; kill <= 60; kill++) migrate(format, ['send', 'send', 'send', 'kill'], kill);
            const all: Step[] = ['send', 'take', 'complete', 'flush', 'receive', 'sync', 'kill', 'off', 'stop'];
            const weights = [5, 5, 4, 1, 2, 1, 1, 1, 1];
            const step = fc.oneof(...all.map((one, i) => ({ weight: weights[i]!, arbitrary: fc.constant(one) })));
            const steps = fc.array(step, { maxLength: 40, size: 'max' });
            fc.assert(
              fc.property(steps, fc.integer({ min: 1, max: 60 }), (list, kill) => migrate(format, list, kill)),
              { numRuns: 40 },
            );
          });
        }
      }
    }
  }
});
