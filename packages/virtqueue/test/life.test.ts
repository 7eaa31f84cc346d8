import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type Chain, type RingQueue, SplitQueue, VirtqueueError } from '../src/index.ts';
import { MockDriver, type MockQueue, TestRing } from '../src/testing/index.ts';

const sys = openSys();

/** Sends `count` chains and takes them. */
function take(end: MockQueue, queue: RingQueue, count: number): Chain[] {
  for (let i = 0; i < count; i++) end.post([Buffer.of(i)], [4]);
  end.driver.publish();
  return Array.from({ length: count }, () => queue.next()!);
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof VirtqueueError) return `${error.code} ${error.blame}`;
    throw error;
  }
  return 'nothing thrown';
}

describe('SplitQueue, its life', () => {
  describe('unfetch', () => {
    it('gives back a chain and all taken after it, to be taken again', () => {
      for (const eventIdx of [true, false]) {
        using driver = new MockDriver(sys, { eventIdx });
        const end = driver.queue(0);
        const queue = end.openDevice();
        const chains = take(end, queue, 5);
        queue.complete(chains[0]!, 0);
        expect(queue.next()).to.equal(null);
        expect([queue.unfetch(chains[2]!), queue.base, queue.inFlight]).to.deep.equal([true, 2, 1]);
        expect([queue.unfetch(chains[4]!), queue.unfetch(chains[3]!)], 'given back already').to.deep.equal([
          true,
          true,
        ]);
        expect([queue.unfetch(chains[1]!), queue.base, queue.inFlight]).to.deep.equal([true, 1, 0]);
        expect(queue.stats.chains).to.equal(1);
        queue.stop();
        const again = end.openDevice({ base: queue.base });
        const heads = Array.from({ length: 4 }, () => again.next()!.head);
        expect([heads, again.next()]).to.deep.equal([[1, 2, 3, 4], null]);
        const { kicks } = end;
        end.send([Buffer.of(9)]);
        expect(end.kicks).to.equal(kicks + 1);
      }
    });

    it('in the same queue goes on as if they had not been taken, and the driver still kicks', () => {
      for (const eventIdx of [true, false]) {
        using driver = new MockDriver(sys, { eventIdx });
        const end = driver.queue(0);
        const queue = end.openDevice();
        const chains = take(end, queue, 3);
        expect(queue.next()).to.equal(null);
        expect([queue.unfetch(chains[1]!), queue.hasWork]).to.deep.equal([true, true]);
        const { kicks } = end;
        end.send([Buffer.of(7)]);
        expect(end.kicks).to.equal(kicks + 1);
        const rest = [queue.next()!, queue.next()!, queue.next()!];
        expect([rest.map((c) => c.head), queue.next()]).to.deep.equal([[1, 2, 3], null]);
      }
    });

    it('refuses a chain when one taken after it was completed', () => {
      using driver = new MockDriver(sys);
      const end = driver.queue(0);
      const queue = end.openDevice();
      const chains = take(end, queue, 4);
      queue.complete(chains[2]!, 0);
      expect([queue.unfetch(chains[0]!), queue.unfetch(chains[1]!)]).to.deep.equal([false, false]);
      expect([queue.unfetch(chains[3]!), queue.unfetch(chains[1]!), queue.base]).to.deep.equal([true, false, 3]);
      expect(queue.unfetch(chains[2]!), 'completed').to.equal(false);
      expect(() => queue.complete(chains[3]!, 0)).to.throw(VirtqueueError);
      queue.complete(chains[0]!, 0);
      queue.complete(chains[1]!, 0);
      expect(end.receiveAll().map((r) => r.head)).to.deep.equal([2, 0, 1]);
    });

    it('crosses the end of the 16-bit index', () => {
      using driver = new MockDriver(sys, { size: 8 });
      const end = driver.queue(0);
      const queue = end.openDevice();
      for (let i = 0; i < 65_534; i++) {
        end.send([Buffer.of(1)]);
        queue.complete(queue.next()!, 0);
        end.receive();
      }
      const chains = take(end, queue, 4);
      const heads = chains.map((c) => c.head);
      expect(queue.base).to.equal(2);
      expect([queue.unfetch(chains[0]!), queue.base]).to.deep.equal([true, 65_534]);
      expect(Array.from({ length: 4 }, () => queue.next()!.head)).to.deep.equal(heads);
    });
  });

  describe('stop', () => {
    it('announces what was completed, then touches nothing', () => {
      using driver = new MockDriver(sys);
      const end = driver.queue(0);
      const queue = end.openDevice();
      const chains = take(end, queue, 4);
      queue.complete(chains[0]!, 0);
      end.receive();
      end.driver.enableCalls();
      queue.complete(chains[1]!, 0);
      expect(end.calls).to.equal(1);
      queue.stop();
      expect([end.calls, queue.base]).to.deep.equal([2, 4]);
      end.send([Buffer.of(1)]);
      const before = Buffer.from(driver.ram.u8);
      chains[2]!.context = 'kept';
      queue.complete(chains[2]!, 4);
      queue.flush();
      queue.stop();
      expect([queue.next(), queue.hasWork, queue.inFlight, chains[2]!.context]).to.deep.equal([
        null,
        false,
        1,
        undefined,
      ]);
      expect([queue.unfetch(chains[3]!), queue.base]).to.deep.equal([false, 4]);
      expect([before.equals(driver.ram.u8), end.calls, queue.stats.completed]).to.deep.equal([true, 2, 2]);
    });

    it('lets a new queue go on where it ended', () => {
      using driver = new MockDriver(sys, { size: 4 });
      const end = driver.queue(0);
      let base = 0;
      for (let life = 0; life < 20; life++) {
        const queue = end.openDevice({ base });
        const chains = take(end, queue, 3);
        for (const chain of chains.reverse()) queue.complete(chain, 1);
        queue.stop();
        base = queue.base;
        expect(end.receiveAll().map((r) => r.written)).to.deep.equal([1, 1, 1]);
      }
      expect([base, end.errors]).to.deep.equal([60, []]);
    });

    it('calls the driver after the first completion of a new queue, whatever used_event says', () => {
      using driver = new MockDriver(sys);
      const end = driver.queue(0);
      const first = end.openDevice();
      first.complete(take(end, first, 1)[0]!, 0);
      first.stop();
      const { calls } = end;
      // The driver did not look yet: its used_event is behind.
      const second = end.openDevice({ base: first.base });
      second.complete(take(end, second, 1)[0]!, 0);
      expect([end.calls, end.receiveAll().length]).to.deep.equal([calls + 1, 2]);
    });
  });

  describe('completion', () => {
    it('refuses what is not in flight, not its own, or longer than its room', () => {
      using driver = new MockDriver(sys, { queues: 2 });
      const end = driver.queue(0);
      const queue = end.openDevice();
      const other = driver.queue(1).openDevice();
      const [chain] = take(end, queue, 1) as [Chain];
      expect(codeOf(() => other.complete(chain, 0))).to.equal('ERR_VIRTQ_CHAIN_STATE bug');
      expect(codeOf(() => other.unfetch(chain))).to.equal('ERR_VIRTQ_CHAIN_STATE bug');
      for (const written of [5, -1, Number.NaN]) expect(() => queue.complete(chain, written)).to.throw(RangeError);
      queue.complete(chain, 4);
      expect(codeOf(() => queue.complete(chain, 4))).to.equal('ERR_VIRTQ_CHAIN_STATE bug');
      expect(end.receiveAll().length).to.equal(1);
    });

    it('counts', () => {
      using driver = new MockDriver(sys);
      const end = driver.queue(0);
      const queue = end.openDevice();
      for (const chain of take(end, queue, 3)) queue.complete(chain, 3);
      queue.flush();
      const { chains, completed, badChains, bytesRead, bytesWritten } = queue.stats;
      expect([chains, completed, badChains, bytesRead, bytesWritten]).to.deep.equal([3, 3, 0, 3, 9]);
    });

    it('reuses chain objects, also ones that grew', () => {
      using driver = new MockDriver(sys);
      const end = driver.queue(0);
      const queue = end.openDevice();
      const seen = new Set<Chain>();
      for (let i = 0; i < 100; i++) {
        const count = 1 + (i % 40);
        end.send(Array.from({ length: count }, (_, k) => Buffer.of(k)));
        const chain = queue.next()!;
        expect([chain.readCount, chain.context]).to.deep.equal([count, undefined]);
        const bytes = new Uint8Array(count);
        expect(chain.read(0, bytes, 0, count)).to.equal(count);
        expect([...bytes]).to.deep.equal([...bytes.keys()]);
        chain.context = i;
        seen.add(chain);
        queue.complete(chain, 0);
        end.receive();
      }
      expect(seen.size).to.equal(1);
    });
  });

  describe('a memory-table change', () => {
    it('finds the ring again, at its new host address', () => {
      using _leaks = leakCheck();
      using ram = new TestMemory(sys, { gpa: 0x10_0000 });
      using extra = new TestMemory(sys, { gpa: 0x8000_0000 });
      using memory = new GuestMemory(sys);
      const old = ram.addTo(memory);
      const ring = new TestRing(ram, 8);
      const data = ring.end + 64;
      ring.setDesc(0, { addr: data, len: 4 });
      ring.setDesc(1, { addr: extra.gpa, len: 4 });
      const queue = new SplitQueue(memory, ring.config());
      ring.offer(0);
      const chain = queue.next()!;
      memory.clear();
      memory.replace([extra.describe(), ram.describe()]);
      expect([old.live, queue.hasWork]).to.deep.equal([false, true]);
      queue.complete(chain, 0);
      expect(ring.usedIdx).to.equal(1);
      ring.offer(1);
      expect(queue.next()!.readBytes).to.equal(4);
      memory.remove(extra.gpa, extra.userAddr, extra.size);
      queue.flush();
      expect([queue.healthy, ring.errors]).to.deep.equal([true, []]);
    });

    it('is seen by the very next chain', () => {
      using ram = new TestMemory(sys);
      using extra = new TestMemory(sys, { gpa: 0x8000_0000 });
      using memory = new GuestMemory(sys);
      ram.addTo(memory);
      extra.addTo(memory);
      const ring = new TestRing(ram, 8);
      ring.setDesc(0, { addr: extra.gpa, len: 4 });
      const queue = new SplitQueue(memory, ring.config());
      ring.offer(0);
      queue.complete(queue.next()!, 0);
      memory.remove(extra.gpa, extra.userAddr, extra.size);
      ring.offer(0);
      expect(queue.next()).to.equal(null);
      expect([ring.errors.map((e) => e.code), queue.healthy]).to.deep.equal([['ERR_VIRTQ_BUFFER'], true]);
    });

    it('that takes the ring away breaks the queue, once', () => {
      for (const act of [(q: SplitQueue) => q.next(), (q: SplitQueue, chain: Chain) => q.complete(chain, 0)]) {
        using ram = new TestMemory(sys);
        using memory = new GuestMemory(sys);
        ram.addTo(memory);
        const ring = new TestRing(ram, 8);
        ring.setDesc(0, { addr: ring.end, len: 4 });
        ring.offer(0);
        const queue = new SplitQueue(memory, ring.config());
        const chain = queue.next()!;
        memory.clear();
        expect(queue.hasWork).to.equal(true);
        act(queue, chain);
        expect(queue.next()).to.equal(null);
        expect([queue.healthy, queue.hasWork, ring.usedIdx]).to.deep.equal([false, false, 0]);
        expect(ring.errors.map((e) => `${e.code} ${e.blame}`)).to.deep.equal(['ERR_VIRTQ_ADDRESS frontend']);
      }
    });

    it('is refused by rebind() when the ring is gone, or no longer safe', () => {
      using ram = new TestMemory(sys);
      using soft = new TestMemory(sys, { file: 'unsealed' });
      using memory = new GuestMemory(sys);
      ram.addTo(memory);
      const ring = new TestRing(ram, 8);
      const queue = new SplitQueue(memory, ring.config());
      memory.replace([ram.describe()]);
      queue.rebind();
      expect(queue.healthy).to.equal(true);
      memory.replace([soft.describe()]);
      expect(codeOf(() => queue.rebind())).to.equal('ERR_VIRTQ_MEMORY frontend');
      const second = new GuestMemory(sys);
      ram.addTo(second);
      const other = new SplitQueue(second, ring.config());
      second.clear();
      expect(codeOf(() => other.rebind())).to.equal('ERR_VIRTQ_ADDRESS frontend');
      expect([queue.healthy, other.healthy, queue.next()]).to.deep.equal([false, false, null]);
    });
  });
});
