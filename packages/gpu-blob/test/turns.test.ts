import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { expect } from 'chai';
import type { Requests } from '../src/control/requests.ts';
import { Turns } from '../src/control/turns.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE } from '../src/protocol/values.ts';

const MS = 1e6;

/** Queues that never run dry, and a clock that a command moves. */
class Setup {
  now = 0;
  taken = 0;
  turnsEnded = 0;
  /** How long a command takes, ns. */
  cost = 0;
  readonly deferred: (() => void)[] = [];
  readonly turns: Turns;

  constructor() {
    const queue = { next: () => ({}) as Chain } as DeviceQueue;
    const requests = { queue: () => queue, beginTurn() {}, endTurn: () => this.turnsEnded++ } as unknown as Requests;
    this.turns = new Turns({
      clock: { nowNs: () => this.now },
      requests,
      take: () => {
        this.taken++;
        this.now += this.cost;
      },
      budget: 5,
    });
    this.turns.attach({ defer: (run: () => void) => this.deferred.push(run) } as never);
  }
}

describe('Turns', () => {
  it('ends a turn that takes long before its budget is spent, and says that more is left', () => {
    const setup = new Setup();
    expect([setup.turns.run(CONTROL_QUEUE, 64), setup.taken]).to.deep.equal([true, 64]);
    setup.taken = 0;
    setup.cost = 4 * MS;
    expect([setup.turns.run(CONTROL_QUEUE, 64), setup.taken]).to.deep.equal([true, 3]);
    setup.cost = 10_000 * MS;
    expect([setup.turns.run(CURSOR_QUEUE, 64), setup.taken]).to.deep.equal([true, 4]);
    expect(setup.turnsEnded).to.equal(3);
  });

  it('takes no control command while something holds them, and goes on behind the events at hand', () => {
    const setup = new Setup();
    const [first, second] = [setup.turns.hold(), setup.turns.hold()];
    expect([setup.turns.run(CONTROL_QUEUE, 64), setup.taken]).to.deep.equal([false, 0]);
    expect([setup.turns.run(CURSOR_QUEUE, 2), setup.taken]).to.deep.equal([true, 2]);
    first();
    first();
    expect(setup.deferred).to.deep.equal([]);
    second();
    expect(setup.deferred).to.have.length(1);
    setup.taken = 0;
    setup.deferred.shift()!();
    expect([setup.taken, setup.deferred.length], 'and again').to.deep.equal([5, 1]);
  });

  it('forgets what is held at a reset: a release that comes late releases nothing', () => {
    const setup = new Setup();
    const old = setup.turns.hold();
    setup.turns.reset();
    const held = setup.turns.hold();
    old();
    expect(setup.turns.run(CONTROL_QUEUE, 64)).to.equal(false);
    held();
    expect(setup.turns.run(CONTROL_QUEUE, 3)).to.equal(true);
    setup.turns.attach(null);
    setup.deferred.length = 0;
    setup.turns.hold()();
    expect(setup.deferred).to.deep.equal([]);
  });
});
