/** The packed ring's own: its bytes, its laps, its places to go on, and each rule that a driver can break. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  type Chain,
  VRING_DESC_F_INDIRECT as INDIRECT,
  VRING_DESC_F_NEXT as NEXT,
  PACKED_RING_START,
  PackedQueue,
  type PackedQueueConfig,
  VirtqueueError,
  VRING_DESC_F_WRITE as WRITE,
} from '../src/index.ts';
import { PackedTestRing, type RawPackedDescriptor } from '../src/testing/index.ts';

const sys = openSys();
const MiB = 0x10_0000;
const SIZE = 6;
const AVAIL = 0x80;
const USED = 0x8000;

interface Stage {
  readonly ram: TestMemory;
  readonly memory: GuestMemory;
  readonly ring: PackedTestRing;
  readonly data: number;
  readonly open: (overrides?: Partial<PackedQueueConfig>) => PackedQueue;
}

/** A fresh ring of 6 entries in 1 MiB of RAM at 1 MiB. */
function onStage(act: (stage: Stage) => void): void {
  using _leaks = leakCheck();
  using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
  using memory = new GuestMemory(sys);
  ram.addTo(memory);
  const ring = new PackedTestRing(ram, SIZE);
  act({ ram, memory, ring, data: MiB + 0x1_0000, open: (o) => new PackedQueue(memory, ring.config(o)) });
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

const codes = ({ ring }: Stage): string[] => ring.errors.map((error) => `${error.code} ${error.blame}`);

describe('the bytes of a packed ring', () => {
  it('of a chain of three over the end of the ring, used with 0x1234 bytes', () => {
    onStage(({ ring, ram, data, open }) => {
      ring.next = 5;
      const queue = open({ base: 0x8005_8005, eventIdx: true });
      expect(
        ring.offer(
          { addr: data, len: 0x10, flags: NEXT, id: 3 },
          { addr: data + 64, len: 8, flags: NEXT | WRITE, id: 3 },
          { addr: data + 128, len: 0x2000, flags: WRITE, id: 3 },
        ),
      ).to.equal(5);
      expect(ring.getDesc(5).flags, 'the wrap counter is 1').to.equal(NEXT | AVAIL);
      expect(ring.getDesc(0).flags, 'the wrap counter is 0').to.equal(NEXT | WRITE | USED);
      const chain = queue.next()!;
      expect([chain.head, chain.readBytes, chain.writeBytes, chain.readCount, chain.writeCount]).to.deep.equal([
        3, 16, 0x2008, 1, 2,
      ]);
      expect(queue.base).to.equal(0x8005_0002);
      queue.complete(chain, 0x1234);
      const desc = Buffer.from(ram.at(ring.desc + 5 * 16, 16)).toString('hex');
      expect(desc).to.equal(`${'0000110000000000'}${'34120000'}${'0300'}${'8280'}`);
      expect([queue.base, queue.outstanding]).to.deep.equal([0x0002_0002, 0]);
      expect([queue.next(), ring.asked]).to.deep.equal([null, { offWrap: 2, flags: 2 }]);
    });
  });

  it('of a used chain into which nothing was written: no WRITE, and in the second lap no flag at all', () => {
    onStage(({ ring, data, open }) => {
      ring.wrap = false;
      const queue = open({ base: 0 });
      ring.offer({ addr: data, len: 4, flags: WRITE, id: 9 });
      queue.complete(queue.next()!, 0);
      expect(ring.getDesc(0)).to.deep.equal({ addr: data, len: 0, id: 9, flags: 0 });
    });
  });

  it('takes any id of 16 bits, and the last one of a chain', () => {
    onStage(({ ring, data, open }) => {
      const queue = open();
      ring.offer({ addr: data, len: 4, flags: NEXT, id: 1 }, { addr: data, len: 4, id: 0xffff });
      const chain = queue.next()!;
      expect(chain.head).to.equal(0xffff);
      queue.complete(chain, 0);
      expect(ring.getDesc(0).id).to.equal(0xffff);
    });
  });

  it('reads a table in its order, by its WRITE flags only', () => {
    onStage(({ ring, data, open }) => {
      ring.setTable(data, [
        { addr: data + 64, len: 4, flags: 0xfffd & ~INDIRECT, id: 7 },
        { addr: data + 96, len: 5, flags: INDIRECT },
        { addr: data + 128, len: 6, flags: WRITE },
      ]);
      ring.offer({ addr: data, len: 48, flags: INDIRECT | WRITE, id: 2 });
      const chain = open().next()!;
      expect([chain.head, chain.readBytes, chain.writeBytes]).to.deep.equal([2, 9, 6]);
    });
  });
});

describe('PackedQueue, its places', () => {
  for (const [what, base, taken] of [
    ['a new ring', PACKED_RING_START, 0],
    ['the second lap', 0, 0],
    ['four taken', 0x8001_8005, 4],
    ['a lap taken', 0x8002_0002, SIZE],
    ['two taken over the end', 0x8005_0001, 2],
  ] as const) {
    it(`goes on at ${what}`, () => {
      onStage(({ open }) => expect([open({ base }).base, open({ base }).outstanding]).to.deep.equal([base, taken]));
    });
  }

  for (const base of [0x8000_8006, 0x8006_8000, 0x8002_8001, 0x8000_0001, 0x7fff_7fff, -1, 0.5, 2 ** 32]) {
    it(`refuses ${base.toString(16)}`, () => {
      onStage(({ open }) => expect(codeOf(() => open({ base }))).to.equal('ERR_VIRTQ_SIZE frontend'));
    });
  }

  it('refuses sizes and parts that no ring can have', () => {
    onStage(({ open, ring, ram }) => {
      for (const size of [0, 32_769, 1.5, -2]) {
        expect(codeOf(() => open({ size }))).to.equal('ERR_VIRTQ_SIZE frontend');
      }
      const { desc } = ring.config();
      expect(codeOf(() => open({ desc: desc + 8 }))).to.equal('ERR_VIRTQ_ALIGN frontend');
      expect(codeOf(() => open({ avail: desc + 2 }))).to.equal('ERR_VIRTQ_ALIGN frontend');
      expect(codeOf(() => open({ used: ram.userAddr + ram.size }))).to.equal('ERR_VIRTQ_ADDRESS frontend');
      expect(codeOf(() => open({ desc: ram.userAddr + ram.size - 16 }))).to.equal('ERR_VIRTQ_ADDRESS frontend');
      for (const option of [{ maxPieces: 0 }, { callBatch: 0 }]) expect(() => open(option)).to.throw(RangeError);
    });
  });

  it('takes a whole lap, and gives it back in any order', () => {
    onStage(({ ring, data, open }) => {
      const queue = open();
      for (let i = 0; i < SIZE; i++) ring.offer({ addr: data, len: 4, id: i });
      const chains = Array.from({ length: SIZE }, () => queue.next()!);
      expect([queue.next(), queue.outstanding]).to.deep.equal([null, SIZE]);
      for (const i of [3, 0, 5, 1, 4, 2]) queue.complete(chains[i]!, 0);
      expect(Array.from({ length: SIZE }, (_, slot) => ring.getDesc(slot).id)).to.deep.equal([3, 0, 5, 1, 4, 2]);
      expect([queue.base, ring.errors]).to.deep.equal([0, []]);
    });
  });

  it('unfetches chains of several descriptors over the end of the ring', () => {
    onStage(({ ring, data, open }) => {
      ring.next = 4;
      const queue = open({ base: 0x8004_8004 });
      const two = [
        { addr: data, len: 4, flags: NEXT },
        { addr: data, len: 4, id: 1 },
      ];
      const descriptors: readonly RawPackedDescriptor[] = [
        { addr: data, len: 1, id: 0 },
        ...two,
        { addr: data, len: 3, id: 2 },
      ];
      for (const slice of [
        [0, 1],
        [1, 3],
        [3, 4],
      ])
        ring.offer(...descriptors.slice(slice[0], slice[1]));
      const chains = [queue.next()!, queue.next()!, queue.next()!] as const;
      expect(queue.base).to.equal(0x8004_0002);
      queue.complete(chains[0], 0);
      expect([queue.unfetch(chains[1]), queue.base, queue.outstanding]).to.deep.equal([true, 0x8005_8005, 0]);
      expect([queue.next()!.head, queue.next()!.head, queue.next()]).to.deep.equal([1, 2, null]);
    });
  });
});

describe('PackedQueue, chains kept over a stop', () => {
  /** Takes two chains of two descriptors, keeps the first and completes the second, over the first one's descriptors. */
  function pause({ ring, data, open }: Stage): { queue: PackedQueue; first: Chain } {
    const queue = open();
    ring.offer({ addr: data, len: 4, flags: NEXT, id: 0 }, { addr: data + 64, len: 8, flags: WRITE, id: 0 });
    ring.offer({ addr: data + 128, len: 4, flags: NEXT, id: 1 }, { addr: data + 192, len: 8, flags: WRITE, id: 1 });
    const [first, second] = [queue.next()!, queue.next()!];
    queue.complete(second, 1);
    expect([ring.getDesc(0).id, queue.unfetch(first), queue.keep(first)]).to.deep.equal([1, false, 0]);
    queue.stop();
    return { queue, first };
  }

  it('has them again though their descriptors are overwritten', () => {
    onStage((stage) => {
      const { queue } = pause(stage);
      const { state } = queue;
      expect(state.base).to.equal(0x8002_8004);
      expect(state.kept.map(({ head, slots, buffers }) => [head, slots, buffers.length])).to.deep.equal([[0, 2, 2]]);
      const next = stage.open(state);
      expect([next.takeBack(5), next.outstanding]).to.deep.equal([null, 2]);
      const chain = next.takeBack(0)!;
      expect([chain.head, chain.readBytes, chain.writeBytes, next.takeBack(0), next.inFlight]).to.deep.equal([
        0,
        4,
        8,
        null,
        1,
      ]);
      expect(next.unfetch(chain)).to.equal(false);
      chain.write(0, Uint8Array.of(7), 0, 1);
      next.complete(chain, 1);
      expect([stage.ring.getDesc(2).id, stage.ring.getDesc(2).len, next.outstanding]).to.deep.equal([0, 1, 0]);
      expect(stage.ram.at(stage.data + 64, 1)[0]).to.equal(7);
    });
  });

  it('has none in a ring that starts anew, or without what the queue before left', () => {
    onStage((stage) => {
      const { state } = pause(stage).queue;
      expect(stage.open({ base: PACKED_RING_START, kept: state.kept }).takeBack(0)).to.equal(null);
      expect(stage.open({ base: state.base }).takeBack(0)).to.equal(null);
    });
  });

  it('gives one back empty whose memory went away', () => {
    onStage((stage) => {
      const { state } = pause(stage).queue;
      const [kept] = state.kept;
      const buffers = [{ gpa: 0x7fff_0000_0000, len: 8, writable: true }];
      const next = stage.open({ base: state.base, kept: [{ ...kept!, buffers }] });
      expect([next.takeBack(0), next.healthy, next.outstanding]).to.deep.equal([null, true, 0]);
      expect([stage.ring.getDesc(2).id, stage.ring.getDesc(2).len]).to.deep.equal([0, 0]);
      expect(codes(stage)).to.deep.equal(['ERR_VIRTQ_BUFFER driver']);
    });
  });

  it('refuses their ids to a driver that offers them again', () => {
    onStage((stage) => {
      const { state } = pause(stage).queue;
      stage.ring.offer({ addr: stage.data, len: 4, id: 0 });
      const next = stage.open(state);
      expect([next.next(), codes(stage)]).to.deep.equal([null, ['ERR_VIRTQ_HEAD driver']]);
    });
  });

  it('returns them empty when the device forgot them', () => {
    onStage(({ ring, data, open }) => {
      const queue = open();
      ring.offer({ addr: data, len: 4, id: 5 });
      queue.keep(queue.next()!);
      queue.abandonKept();
      expect([ring.getDesc(0).flags & USED, ring.getDesc(0).id, queue.outstanding]).to.deep.equal([USED, 5, 0]);
    });
  });
});

describe('a hostile driver of a packed ring', () => {
  function broken(what: string, code: string, act: (stage: Stage) => Partial<PackedQueueConfig> | undefined): void {
    it(`REJECT: ${what}`, () => {
      onStage((stage) => {
        const queue = stage.open(act(stage) ?? {});
        const before = Buffer.from(stage.ram.at(stage.ring.desc, SIZE * 16));
        expect(queue.next()).to.equal(null);
        expect(codes(stage)).to.deep.equal([`${code} driver`]);
        expect([queue.healthy, queue.hasWork, queue.next()]).to.deep.equal([false, false, null]);
        queue.flush();
        queue.stop();
        expect(before.equals(stage.ram.at(stage.ring.desc, SIZE * 16)), 'the ring was not written').to.equal(true);
      });
    });
  }

  broken('a chain without an end', 'ERR_VIRTQ_CHAIN_LOOP', ({ ring, data }) => {
    for (let i = 0; i < SIZE; i++) ring.offer({ addr: data, len: 1, flags: NEXT });
    return undefined;
  });
  broken('a readable buffer behind a writable one', 'ERR_VIRTQ_CHAIN_ORDER', ({ ring, data }) => {
    ring.offer({ addr: data, len: 1, flags: NEXT | WRITE }, { addr: data, len: 1 });
    return undefined;
  });
  broken('over 4 GiB', 'ERR_VIRTQ_CHAIN_BYTES', ({ ring, data }) => {
    ring.offer({ addr: data, len: 2 ** 32 - 1, flags: NEXT }, { addr: data, len: 2 });
    return undefined;
  });
  broken('more pieces than the device takes', 'ERR_VIRTQ_CHAIN_LONG', ({ ring, data }) => {
    ring.offer({ addr: data, len: 1, flags: NEXT }, { addr: data, len: 1, flags: NEXT }, { addr: data, len: 1 });
    return { maxPieces: 2 };
  });
  broken('a table that was not negotiated', 'ERR_VIRTQ_INDIRECT', ({ ring, data }) => {
    ring.offer({ addr: data, len: 16, flags: INDIRECT });
    return { indirect: false };
  });
  broken('a table with a next one', 'ERR_VIRTQ_INDIRECT', ({ ring, data }) => {
    ring.offer({ addr: data, len: 16, flags: INDIRECT | NEXT }, { addr: data, len: 1 });
    return undefined;
  });
  broken('a table behind a buffer', 'ERR_VIRTQ_INDIRECT', ({ ring, data }) => {
    ring.offer({ addr: data, len: 16, flags: NEXT }, { addr: data, len: 16, flags: INDIRECT });
    return undefined;
  });
  for (const len of [0, 8, 24, 16 * 32_769]) {
    broken(`a table of ${len} bytes`, 'ERR_VIRTQ_INDIRECT', ({ ring, data }) => {
      ring.offer({ addr: data, len, flags: INDIRECT });
      return undefined;
    });
  }
  broken('a table outside memory', 'ERR_VIRTQ_INDIRECT', ({ ring }) => {
    ring.offer({ addr: 64 * MiB, len: 16, flags: INDIRECT });
    return undefined;
  });

  it('REJECT: an id that is in flight', () => {
    onStage((stage) => {
      const { ring, data, open } = stage;
      const queue = open();
      ring.offer({ addr: data, len: 1, id: 4 });
      ring.offer({ addr: data, len: 1, id: 4 });
      expect([queue.next()!.head, queue.next(), codes(stage)]).to.deep.equal([4, null, ['ERR_VIRTQ_HEAD driver']]);
    });
  });

  it('REJECT: descriptors that the device still has, offered again', () => {
    onStage((stage) => {
      const { ring, data, open } = stage;
      const queue = open();
      for (let i = 0; i < SIZE; i++) ring.offer({ addr: data, len: 1, id: i });
      for (let i = 0; i < SIZE; i++) expect(queue.next()!.head).to.equal(i);
      ring.offer({ addr: data, len: 1, id: 100 });
      expect([queue.next(), codes(stage)]).to.deep.equal([null, ['ERR_VIRTQ_INDEX driver']]);
    });
  });

  it('REJECT: a chain that reaches into descriptors that the device still has', () => {
    onStage((stage) => {
      const { ring, data, open } = stage;
      const queue = open();
      for (let i = 0; i < 4; i++) ring.offer({ addr: data, len: 1, id: i });
      for (let i = 0; i < 4; i++) queue.next();
      for (let i = 0; i < 3; i++) ring.offer({ addr: data, len: 1, flags: NEXT, id: 9 });
      expect([queue.next(), codes(stage)]).to.deep.equal([null, ['ERR_VIRTQ_INDEX driver']]);
    });
  });

  it('PASS: a buffer outside memory costs its chain only', () => {
    onStage((stage) => {
      const { ring, data, open } = stage;
      const queue = open();
      ring.offer({ addr: 64 * MiB, len: 8, flags: WRITE, id: 1 });
      ring.offer({ addr: data, len: 8, flags: WRITE, id: 2 });
      expect([queue.next()!.head, queue.healthy, codes(stage)]).to.deep.equal([2, true, ['ERR_VIRTQ_BUFFER driver']]);
      expect([ring.getDesc(0).id, ring.getDesc(0).len, queue.stats.badChains]).to.deep.equal([1, 0, 1]);
    });
  });

  it('PASS: nonsense in its event area costs calls, no more', () => {
    onStage(({ ring, data, open }) => {
      for (const [offWrap, flags] of [
        [0xffff, 2],
        [0, 3],
        [0x7fff, 0xfffe],
        [6, 2],
      ] as const) {
        const queue = open({ eventIdx: true, callBatch: 1, base: open().base });
        ring.next = 0;
        ring.wrap = true;
        for (let i = 0; i < 2; i++) ring.offer({ addr: data, len: 1, id: i });
        ring.setDriverArea(offWrap, flags);
        const { calls } = ring;
        queue.complete(queue.next()!, 0);
        queue.complete(queue.next()!, 0);
        expect([ring.calls - calls, queue.healthy]).to.deep.equal([2, true]);
      }
    });
  });

  it('PASS: events stand anywhere in two laps', () => {
    onStage(({ ring, data, open }) => {
      for (const { event, called } of [
        { event: 0x8002, called: true },
        { event: 0x8003, called: true },
        { event: 0x8004, called: false },
        { event: 0x8001, called: false },
        { event: 0x0002, called: false },
      ]) {
        ring.next = 0;
        ring.wrap = true;
        const queue = open({ eventIdx: true, callBatch: 1 });
        ring.setDriverArea(0, 1);
        ring.offer({ addr: data, len: 1, flags: NEXT, id: 0 }, { addr: data, len: 1, id: 0 });
        ring.offer({ addr: data, len: 1, flags: NEXT, id: 1 }, { addr: data, len: 1, id: 1 });
        queue.complete(queue.next()!, 0);
        const { calls } = ring;
        ring.setDriverArea(event, 2);
        queue.complete(queue.next()!, 0);
        expect([event, ring.calls > calls]).to.deep.equal([event, called]);
      }
    });
  });
});
