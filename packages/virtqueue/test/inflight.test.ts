/** Killed devices: whatever store is their last, each chain is answered once, and one that may have been carried out says so. */
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Chain, inflightBytes, type KeptChain, type RingQueue } from '../src/index.ts';
import { MockDriver } from '../src/testing/index.ts';
import { StoreSteps } from './store-steps.ts';

const sys = openSys();

interface Format {
  readonly packed: boolean;
  readonly inOrder: boolean;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  readonly size: number;
}

type Step =
  | { readonly do: 'send'; readonly buffers: number }
  | { readonly do: 'take' }
  | { readonly do: 'complete'; readonly which: number }
  | { readonly do: 'unfetch'; readonly which: number }
  | { readonly do: 'receive' };

/** One life of the device: it ends by a kill behind store `kill`, or by a stop when there are fewer stores. */
interface Life {
  readonly steps: readonly Step[];
  readonly kill: number;
  /** At a stop: which of the chains are taken back by name in the next life. The rest is left to the area. */
  readonly takeBack: readonly boolean[];
  /** Chains that the driver sends before the next life, having received all there is. */
  readonly sends: number;
}

const TOKEN_BYTES = 4;

/** A driver that lives through all of it, and what is known of each of its requests. */
class World implements Disposable {
  readonly area: Uint8Array;
  readonly steps: StoreSteps;
  readonly driver: MockDriver;
  readonly #format: Format;
  /** By head: what the driver waits for. */
  readonly #sent = new Map<number, number>();
  #tokens = 0;
  answered = 0;
  /** Tokens that a device got and did not give back to the ring. */
  readonly #delivered = new Set<number>();
  /** What the device has, oldest first. */
  #held: { chain: Chain; token: number }[] = [];
  #state: { base: number; kept: readonly KeptChain[] };
  #takeBack: number[] = [];

  constructor(format: Format) {
    this.#format = format;
    this.driver = new MockDriver(sys, { ...format, maxIndirect: 5, ramBytes: 0x2_0000 });
    this.area = new Uint8Array(inflightBytes(format.packed, format.size));
    const ram = this.driver.memory.find(this.driver.ram.gpa)!;
    this.steps = new StoreSteps([ram.u8.buffer, this.area.buffer]);
    this.#state = { base: this.#end.config().base, kept: [] };
  }

  get #end() {
    return this.driver.queue(0);
  }

  /** @returns stores that the device did */
  live(life: Life): number {
    const { packed } = this.#format;
    let queue: RingQueue | undefined;
    const whole = this.steps.run(life.kill, () => {
      queue = this.#end.openDevice({ ...this.#state, inflight: this.area });
      this.#start(queue);
      for (const step of life.steps) this.#do(queue, step);
      this.#stop(queue, life);
    });
    // What a front-end tells after a kill: of a split ring what stands there, of a packed one what it knew once.
    if (!whole) this.#state = { base: packed ? 0x8000_8000 : this.#usedIdx(), kept: [] };
    if (!whole) this.#takeBack = [];
    this.#held = [];
    this.#receive();
    for (let n = 0; n < life.sends; n++) this.send(n & 1);
    return this.steps.stores;
  }

  /** The last life: everything is carried out. */
  finish(): void {
    const queue = this.#end.openDevice({ ...this.#state, inflight: this.area });
    this.#start(queue);
    this.#drain(queue);
    this.#receive();
    expect([this.#sent.size, this.answered, queue.outstanding, queue.inFlight]).to.deep.equal([0, this.#tokens, 0, 0]);
    expect([queue.healthy, this.#end.errors]).to.deep.equal([true, []]);
    // Nothing is in flight in the area either: the next device finds an idle ring, at the same place.
    const { base } = queue;
    queue.stop();
    const next = this.#end.openDevice({ base: this.#end.config().base, inflight: this.area });
    expect([next.next(), next.outstanding, next.base]).to.deep.equal([null, 0, base]);
  }

  send(buffers: number): void {
    if (this.#sent.size === this.#format.size) return;
    const request = Buffer.alloc(TOKEN_BYTES);
    request.writeUInt32LE(this.#tokens);
    const readable = [request, ...Array.from({ length: buffers }, () => Buffer.of(1, 2, 3))];
    if (!this.#format.indirect && readable.length + 1 > this.#end.driver.freeDescriptors) return;
    this.#sent.set(this.#end.send(readable, [TOKEN_BYTES]), this.#tokens++);
  }

  #usedIdx(): number {
    const { ram } = this.driver;
    return ram.view.getUint16(this.#end.used - ram.gpa + 2, true);
  }

  #start(queue: RingQueue): void {
    for (const head of this.#takeBack.splice(0)) {
      const chain = queue.takeBack(head)!;
      expect([chain.head, chain.again]).to.deep.equal([head, false]);
      this.#hold(chain);
    }
  }

  #hold(chain: Chain): number {
    const token = Buffer.alloc(TOKEN_BYTES);
    expect(chain.read(0, token, 0, TOKEN_BYTES)).to.equal(TOKEN_BYTES);
    const value = token.readUInt32LE();
    expect(this.#sent.get(chain.head)).to.equal(value);
    this.#held.push({ chain, token: value });
    return value;
  }

  #do(queue: RingQueue, step: Step): void {
    const held = this.#held;
    if (step.do === 'send') {
      this.steps.outside(() => this.send(step.buffers));
    } else if (step.do === 'receive') {
      queue.flush();
      this.steps.outside(() => this.#receive());
    } else if (step.do === 'take') {
      this.#take(queue);
    } else if (held.length > 0 && step.do === 'complete') {
      const [{ chain, token }] = held.splice(step.which % held.length, 1) as [{ chain: Chain; token: number }];
      this.#complete(queue, chain, token);
    } else if (held.length > 0) {
      const back = held.slice(step.which % held.length);
      // Not known of a device that is killed in it: what it gave back may come as if for the first time.
      for (const { token } of back) this.#delivered.delete(token);
      if (queue.unfetch(back[0]!.chain)) held.length -= back.length;
      else for (const { token } of back) this.#delivered.add(token);
    }
  }

  #take(queue: RingQueue): boolean {
    const chain = queue.next();
    if (chain === null) return false;
    const token = this.#hold(chain);
    if (!chain.again) expect(this.#delivered.has(token), `token ${token} is not new`).to.equal(false);
    this.#delivered.add(token);
    return true;
  }

  #complete(queue: RingQueue, chain: Chain, token: number): void {
    const answer = Buffer.alloc(TOKEN_BYTES);
    answer.writeUInt32LE(token);
    chain.write(0, answer, 0, TOKEN_BYTES);
    queue.complete(chain, TOKEN_BYTES);
  }

  #drain(queue: RingQueue): void {
    do {
      for (const { chain, token } of this.#held.splice(0)) this.#complete(queue, chain, token);
    } while (this.#take(queue));
    queue.flush();
  }

  #stop(queue: RingQueue, life: Life): void {
    const heads = this.#held.map(({ chain }) => queue.keep(chain));
    queue.stop();
    this.#state = JSON.parse(JSON.stringify(queue.state));
    this.#takeBack = heads.filter((_, i) => life.takeBack[i] === true);
  }

  /** The driver refuses, by an exception, what it does not wait for: nothing is completed twice. */
  #receive(): void {
    for (const { head, data } of this.#end.receiveAll()) {
      expect(Buffer.from(data).readUInt32LE()).to.equal(this.#sent.get(head));
      this.#sent.delete(head);
      this.answered++;
    }
    expect(this.#end.errors).to.deep.equal([]);
  }

  [Symbol.dispose](): void {
    this.driver[Symbol.dispose]();
  }
}

const take: Step = { do: 'take' };
const receive: Step = { do: 'receive' };
const send = (buffers: number): Step => ({ do: 'send', buffers });
const complete = (which: number): Step => ({ do: 'complete', which });

/** Everything that a device does to a ring of 8, with wraps: chains over the end, out of order, given back, kept. */
const FIXED: readonly Step[] = [
  ...[send(0), send(1), take, take, send(0), take, complete(1), receive, send(1), take, take, complete(2)],
  ...[{ do: 'unfetch', which: 1 } as const, take, complete(0), complete(0), receive, send(1), send(1), take, take],
  ...[complete(1), take, complete(0), receive, send(0), send(2), take, take, complete(0), complete(0), receive],
  ...[send(0), take, take],
];

const formats: Format[] = [];
for (const packed of [false, true]) {
  for (const inOrder of [false, true]) {
    for (const indirect of [false, true]) {
      formats.push({ packed, inOrder, indirect, eventIdx: indirect !== inOrder, size: 8 });
    }
  }
}
const nameOf = (f: Format): string =>
  `${f.packed ? 'packed' : 'split'}${f.inOrder ? ', in order' : ''}${f.indirect ? ', indirect' : ''}${f.eventIdx ? ', event idx' : ''}`;

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), buffers: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.constant(take) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('complete' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unfetch' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.constant(receive) },
);
const life: fc.Arbitrary<Life> = fc.record({
  steps: fc.array(step, { maxLength: 40, size: 'max' }),
  kill: fc.integer({ min: 1, max: 200 }),
  takeBack: fc.array(fc.boolean(), { maxLength: 8 }),
  sends: fc.nat(8),
});

/** Kills a device behind its first store, then one behind its second, and so on. */
function everyStore(format: Format, sends: number): void {
  let stores = Number.POSITIVE_INFINITY;
  for (let kill = 1; kill <= stores + 1; kill++) {
    using world = new World(format);
    const did = world.live({ steps: FIXED, kill, takeBack: [true, false, true], sends });
    // Killed once more at the first stores of the recovery, which itself may be cut short.
    for (const again of [1, 2, 5]) world.live({ steps: [take], kill: again, takeBack: [], sends: 0 });
    world.finish();
    if (did < kill) stores = did;
  }
  expect(stores).to.be.greaterThan(70);
}

describe('in-flight records', () => {
  for (const format of formats) {
    it(`answer each chain once, whichever store is the last (${nameOf(format)})`, () => {
      using _leaks = leakCheck();
      // The driver reacts to what it sees before the device comes back, or does not.
      for (const sends of [0, 8]) everyStore(format, sends);
    }).timeout(60_000);
    it(`answer each chain once over any lives, kills and stops (${nameOf(format)})`, () => {
      fc.assert(
        fc.property(fc.array(life, { maxLength: 6, size: 'max' }), fc.constantFrom(2, 4, 8), (lives, size) => {
          using world = new World({ ...format, size });
          for (const one of lives) world.live(one);
          world.finish();
        }),
        { numRuns: 250 },
      );
    }).timeout(60_000);
  }
});
