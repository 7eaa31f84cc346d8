/** Chains that a device keeps over a stop of the queue, and takes back from the next queue of the ring. */
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Chain,
  type KeptChain,
  VRING_DESC_F_NEXT as NEXT,
  PACKED_RING_START,
  type RingQueue,
  type SplitQueue,
  VRING_DESC_F_WRITE as WRITE,
} from '../src/index.ts';
import { MockDriver } from '../src/testing/index.ts';
import { MiB, onStage, SIZE, type Stage } from './stage.ts';

const sys = openSys();

/** Writable buffers of 8 bytes at heads 0..count-1, all offered and taken. */
function taken({ ring, data }: Stage, queue: SplitQueue, count: number): Chain[] {
  for (let head = 0; head < count; head++) {
    ring.setDesc(head, { addr: data + head * 64, len: 8, flags: WRITE });
    ring.offer(head);
  }
  return Array.from({ length: count }, () => queue.next()!);
}

/** Takes two chains, keeps the first, completes the second and stops; gives the next queue. */
function pausedWithHead0(stage: Stage): SplitQueue {
  const queue = stage.open();
  const [first, second] = taken(stage, queue, 2) as [Chain, Chain];
  queue.complete(second, 0);
  expect(queue.unfetch(first)).to.equal(false);
  expect(queue.keep(first)).to.equal(0);
  queue.stop();
  return stage.open({ base: queue.base });
}

/** The used ring so far: id and length of each element. */
function used({ ring }: Stage): number[][] {
  return Array.from({ length: ring.usedIdx }, (_, slot) => {
    const { id, len } = ring.usedElem(slot);
    return [id, len];
  });
}

const codes = ({ ring }: Stage): string[] => ring.errors.map((error) => `${error.code} ${error.blame}`);

describe('SplitQueue, chains kept over a stop', () => {
  it('completes in the next queue what was kept of the one before, behind what the driver got since', () => {
    onStage((stage) => {
      const first = stage.open();
      const chains = taken(stage, first, 4);
      first.complete(chains[2]!, 3);
      expect(first.unfetch(chains[3]!)).to.equal(true);
      chains[0]!.context = 'mine';
      expect([first.keep(chains[1]!), first.keep(chains[0]!)]).to.deep.equal([1, 0]);
      expect([first.inFlight, first.base, first.outstanding, chains[0]!.context]).to.deep.equal([0, 3, 2, undefined]);
      expect([first.stats.chains, first.stats.completed]).to.deep.equal([1, 1]);
      first.stop();
      expect(used(stage)).to.deep.equal([[2, 3]]);

      const second = stage.open({ base: first.base });
      const back = second.takeBack(1)!;
      expect([back.head, back.writeBytes, back.readBytes, back.queue]).to.deep.equal([1, 8, 0, second]);
      expect(second.takeBack(0)!.head).to.equal(0);
      expect([second.inFlight, second.base, stage.ring.usedIdx]).to.deep.equal([2, 3, 1]);
      expect([second.next()!.head, second.next()]).to.deep.equal([3, null]);
      expect(back.write(0, Uint8Array.of(1, 2, 3, 4, 5), 0, 5)).to.equal(5);
      second.complete(back, 5);
      expect(used(stage)).to.deep.equal([
        [2, 3],
        [1, 5],
      ]);
      const offset = stage.data + 64 - stage.ram.gpa;
      expect([...stage.ram.u8.subarray(offset, offset + 6)]).to.deep.equal([1, 2, 3, 4, 5, 0]);
      expect([second.stats.chains, second.stats.completed, second.inFlight]).to.deep.equal([3, 1, 2]);
    });
  });

  it('leaves the ring as it is when a chain is kept, and when it is taken back', () => {
    onStage((stage) => {
      const queue = stage.open();
      const [first, second] = taken(stage, queue, 2) as [Chain, Chain];
      queue.complete(second, 0);
      queue.flush();
      const before = Buffer.from(stage.ram.u8);
      queue.keep(first);
      queue.stop();
      stage.open({ base: queue.base }).takeBack(0);
      // Stopping asks for kicks again, in the flags of the used ring.
      const flags = stage.ring.used - stage.ram.gpa;
      before.writeUInt16LE(stage.ring.usedFlags, flags);
      expect(before.equals(stage.ram.u8)).to.equal(true);
    });
  });

  it('never gives a chain that was taken back to the avail ring', () => {
    onStage((stage) => {
      const queue = pausedWithHead0(stage);
      const back = queue.takeBack(0)!;
      expect([queue.unfetch(back), queue.base]).to.deep.equal([false, 2]);
      stage.ring.offer(1);
      const later = queue.next()!;
      expect([queue.unfetch(back), queue.unfetch(later), queue.base]).to.deep.equal([false, true, 2]);
      expect([queue.keep(back), queue.inFlight]).to.deep.equal([0, 0]);
      queue.stop();
      const third = stage.open({ base: queue.base });
      third.complete(third.takeBack(0)!, 1);
      expect(used(stage)).to.deep.equal([
        [1, 0],
        [0, 1],
      ]);
    });
  });

  it('unfetches nothing from before a chain that was kept', () => {
    onStage((stage) => {
      const queue = stage.open();
      const chains = taken(stage, queue, 3);
      expect(queue.keep(chains[1]!)).to.equal(1);
      expect([queue.unfetch(chains[0]!), queue.unfetch(chains[2]!), queue.base]).to.deep.equal([false, true, 2]);
    });
  });

  it('counts indexes modulo 65536', () => {
    onStage((stage) => {
      stage.ring.usedIdx = 0xffff;
      stage.ring.availIdx = 1;
      for (const head of [4, 5]) stage.ring.setDesc(head, { addr: stage.data, len: 8, flags: WRITE });
      const queue = stage.open({ base: 1 });
      expect(queue.outstanding).to.equal(2);
      const chains = [queue.takeBack(4)!, queue.takeBack(5)!];
      for (const chain of chains) queue.complete(chain, 0);
      expect([stage.ring.usedIdx, stage.ring.usedElem(0xffff), stage.ring.usedElem(0)]).to.deep.equal([
        1,
        { id: 4, len: 0 },
        { id: 5, len: 0 },
      ]);
    });
  });

  it('finds the chain after a change of the memory table', () => {
    onStage((stage) => {
      const queue = pausedWithHead0(stage);
      stage.memory.replace([stage.ram.describe()]);
      expect(queue.takeBack(0)!.writeBytes).to.equal(8);
    });
  });

  it('refuses to keep what is not in flight here', () => {
    onStage((stage) => {
      const queue = stage.open();
      const [chain] = taken(stage, queue, 1) as [Chain];
      const other = stage.open();
      expect(() => other.keep(chain))
        .to.throw()
        .with.property('code', 'ERR_VIRTQ_CHAIN_STATE');
      queue.keep(chain);
      expect(() => queue.keep(chain))
        .to.throw()
        .with.property('code', 'ERR_VIRTQ_CHAIN_STATE');
      expect(() => queue.complete(chain, 0))
        .to.throw()
        .with.property('code', 'ERR_VIRTQ_CHAIN_STATE');
    });
  });

  it('returns empty what a device forgot, and takes such a head again', () => {
    onStage((stage) => {
      const queue = stage.open();
      const chains = taken(stage, queue, 3);
      queue.complete(chains[1]!, 8);
      queue.keep(chains[0]!);
      queue.keep(chains[2]!);
      queue.abandonKept();
      queue.abandonKept();
      expect(used(stage)).to.deep.equal([
        [1, 8],
        [0, 0],
        [2, 0],
      ]);
      stage.ring.offer(2);
      expect([queue.next()!.head, codes(stage)]).to.deep.equal([2, []]);
    });
  });

  describe('a hostile driver', () => {
    it('REJECT: a kept head that is offered again', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        expect(queue.takeBack(0)!.head).to.equal(0);
        stage.ring.offer(0);
        expect([queue.next(), queue.healthy, codes(stage)]).to.deep.equal([null, false, ['ERR_VIRTQ_HEAD driver']]);
      });
    });

    it('REJECT: a kept head that is offered again before the queue stops', () => {
      onStage((stage) => {
        const queue = stage.open();
        const [first, second] = taken(stage, queue, 2) as [Chain, Chain];
        queue.complete(second, 0);
        queue.keep(first);
        stage.ring.offer(0);
        expect([queue.next(), codes(stage)]).to.deep.equal([null, ['ERR_VIRTQ_HEAD driver']]);
      });
    });

    it('PASS: a kept head that is offered again and taken first; it is not there twice', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        stage.ring.offer(0);
        const chain = queue.next()!;
        expect([chain.head, queue.takeBack(0), queue.inFlight]).to.deep.equal([0, null, 1]);
        queue.complete(chain, 2);
        expect([used(stage)[1], codes(stage)]).to.deep.equal([[0, 2], []]);
      });
    });

    it('REJECT: avail.idx so far ahead that there is no room for what was kept', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        stage.ring.availIdx = 2 + SIZE;
        expect(queue.takeBack(0)!.head).to.equal(0);
        expect([queue.next(), codes(stage)]).to.deep.equal([null, ['ERR_VIRTQ_INDEX driver']]);
      });
    });

    it('PASS: a descriptor that was changed meanwhile; what it says now counts', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        stage.ring.setDesc(0, { addr: stage.data + 512, len: 3, flags: NEXT, next: 9 });
        stage.ring.setDesc(9, { addr: stage.data + 600, len: 2, flags: WRITE });
        const chain = queue.takeBack(0)!;
        expect([chain.readBytes, chain.writeBytes]).to.deep.equal([3, 2]);
        expect(() => queue.complete(chain, 8)).to.throw(RangeError);
        queue.complete(chain, 2);
        expect(used(stage)[1]).to.deep.equal([0, 2]);
      });
    });

    it('REJECT: a buffer that lies outside guest memory by now; the chain comes back empty', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        stage.ring.setDesc(0, { addr: 64 * MiB, len: 8, flags: WRITE });
        expect([queue.takeBack(0), queue.healthy, queue.inFlight]).to.deep.equal([null, true, 0]);
        expect(used(stage)[1]).to.deep.equal([0, 0]);
        expect([codes(stage), queue.stats.badChains, queue.stats.chains]).to.deep.equal([
          ['ERR_VIRTQ_BUFFER driver'],
          1,
          0,
        ]);
        expect(queue.takeBack(0), 'not a second time').to.equal(null);
        expect(stage.ring.usedIdx).to.equal(2);
      });
    });

    it('REJECT: a chain that became a loop, or leaves the table', () => {
      for (const [next, code] of [
        [0, 'ERR_VIRTQ_CHAIN_LOOP driver'],
        [SIZE, 'ERR_VIRTQ_NEXT driver'],
      ] as const) {
        onStage((stage) => {
          const queue = pausedWithHead0(stage);
          stage.ring.setDesc(0, { addr: stage.data, len: 8, flags: NEXT, next });
          expect([queue.takeBack(0), queue.healthy, codes(stage)]).to.deep.equal([null, false, [code]]);
          expect([queue.takeBack(0), queue.next(), stage.ring.usedIdx]).to.deep.equal([null, null, 1]);
          expect(codes(stage).length).to.equal(1);
        });
      }
    });

    it('REJECT: a head that is none of this ring', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        for (const head of [SIZE, 0xffff, 0x1_0000, -1, 0.5, Number.NaN]) expect(queue.takeBack(head)).to.equal(null);
        expect([queue.healthy, queue.inFlight, codes(stage), stage.ring.usedIdx]).to.deep.equal([true, 0, [], 1]);
        expect(queue.takeBack(0)!.head).to.equal(0);
      });
    });

    it('REJECT: more than the driver waits for, says the ring; a new driver waits for nothing', () => {
      onStage((stage) => {
        const queue = pausedWithHead0(stage);
        expect([queue.takeBack(0)!.head, queue.takeBack(1), queue.inFlight]).to.deep.equal([0, null, 1]);
        stage.ring.usedIdx = 0;
        stage.ring.availIdx = 0;
        expect([stage.open().takeBack(0), stage.ring.usedIdx, codes(stage)]).to.deep.equal([null, 0, []]);
      });
    });

    it('REJECT: anything in a queue that broke or stopped', () => {
      onStage((stage) => {
        const stopped = pausedWithHead0(stage);
        stopped.stop();
        expect(stopped.takeBack(0)).to.equal(null);
        const gone = stage.open({ base: 2 });
        stage.memory.clear();
        expect([gone.takeBack(0), gone.healthy, codes(stage)]).to.deep.equal([
          null,
          false,
          ['ERR_VIRTQ_ADDRESS frontend'],
        ]);
      });
    });
  });

  for (const packed of [false, true]) {
    for (const inOrder of [false, true]) {
      const name = `${packed ? 'packed' : 'split'}${inOrder ? ', in order' : ''}`;
      it(`returns each chain once, whatever is completed, unfetched and kept over any number of pauses (${name})`, () => {
        returnsEachOnce(packed, inOrder);
      });
    }
  }
});

function returnsEachOnce(packed: boolean, inOrder: boolean): void {
  const choice = fc.record({
    send: fc.nat(6),
    complete: fc.array(fc.nat(), { maxLength: 4 }),
    rest: fc.array(fc.boolean(), { maxLength: 8 }),
  });
  fc.assert(
    fc.property(fc.array(choice, { maxLength: 12 }), fc.boolean(), (lives, eventIdx) => {
      using driver = new MockDriver(sys, { size: 8, eventIdx, packed, inOrder });
      const end = driver.queue(0);
      const out = new Set<number>();
      let heads: number[] = [];
      let base = packed ? PACKED_RING_START : 0;
      let kept: readonly KeptChain[] = [];
      const live = (work: (queue: RingQueue, held: Chain[]) => void): void => {
        const queue = end.openDevice({ base, kept });
        const held = heads.map((head) => queue.takeBack(head)!);
        expect(held.map((chain) => chain.head)).to.deep.equal(heads);
        for (let chain = queue.next(); chain !== null; chain = queue.next()) held.push(chain);
        work(queue, held);
        heads = held.map((chain) => queue.keep(chain));
        expect(queue.inFlight).to.equal(0);
        queue.stop();
        // As plain data, as if another process went on.
        ({ base, kept } = JSON.parse(JSON.stringify(queue.state)));
        for (const { head } of end.receiveAll()) expect(out.delete(head)).to.equal(true);
        expect([end.errors, heads.every((head) => out.has(head))]).to.deep.equal([[], true]);
      };
      for (const { send, complete, rest } of lives) {
        const room = Math.max(0, Math.min(send, 8 - out.size));
        for (let i = 0; i < room; i++) out.add(end.send([Buffer.of(i)]));
        live((queue, held) => {
          for (const pick of complete) {
            const [chain] = held.length === 0 ? [] : held.splice(pick % held.length, 1);
            if (chain !== undefined) queue.complete(chain, 0);
          }
          for (const giveBack of rest) {
            if (giveBack && held.length > 0 && queue.unfetch(held.at(-1)!)) held.pop();
          }
        });
      }
      live((queue, held) => {
        for (const chain of held.splice(0)) queue.complete(chain, 0);
      });
      expect(out.size).to.equal(0);
    }),
    { numRuns: 150 },
  );
}
