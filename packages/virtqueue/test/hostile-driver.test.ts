/** One test for each rule that a driver can break, with the verdict that it gets. */
import { expect } from 'chai';
import {
  VRING_DESC_F_INDIRECT as INDIRECT,
  VRING_DESC_F_NEXT as NEXT,
  type SplitQueue,
  type SplitQueueConfig,
  VRING_DESC_F_WRITE as WRITE,
} from '../src/index.ts';
import type { RawDescriptor } from '../src/testing/index.ts';
import { MiB, onStage, SIZE, type Stage } from './stage.ts';

/** A chain that breaks the ring: the code, and nothing more happens afterwards. */
function expectBroken(stage: Stage, queue: SplitQueue, code: string): void {
  expect(queue.next()).to.equal(null);
  expect(stage.ring.errors.map((e) => e.code)).to.deep.equal([code]);
  expect([queue.healthy, queue.hasWork, stage.ring.errors[0]!.blame]).to.deep.equal([false, false, 'driver']);
  const before = Buffer.from(stage.ram.u8.subarray(0, stage.ring.end - stage.ram.gpa));
  stage.ring.offer(0);
  for (let i = 0; i < 3; i++) expect(queue.next()).to.equal(null);
  queue.flush();
  queue.stop();
  expect(stage.ring.errors.length).to.equal(1);
  stage.ring.availIdx = before.readUInt16LE(stage.ring.avail - stage.ram.gpa + 2);
  stage.ring.setHead(
    stage.ring.availIdx,
    before.readUInt16LE(stage.ring.avail - stage.ram.gpa + 4 + 2 * (stage.ring.availIdx % SIZE)),
  );
  expect(before.equals(stage.ram.u8.subarray(0, before.length)), 'the ring was not written').to.equal(true);
}

/** A rule about one chain whose descriptors are `list`, in the ring or in a table. */
function chainRule(
  what: string,
  code: string,
  list: (data: number) => RawDescriptor[],
  overrides: Partial<SplitQueueConfig> = {},
): void {
  it(`REJECT: ${what}`, () => {
    onStage((stage) => {
      for (const [i, descriptor] of list(stage.data).entries()) stage.ring.setDesc(i, descriptor);
      stage.ring.offer(0);
      expectBroken(stage, stage.open(overrides), code);
    });
  });
}

function tableRule(
  what: string,
  code: string,
  list: (data: number) => RawDescriptor[],
  overrides: Partial<SplitQueueConfig> = {},
): void {
  it(`REJECT: ${what}`, () => {
    onStage((stage) => {
      const table = list(stage.data);
      stage.ring.setTable(stage.data, table);
      stage.ring.setDesc(3, { addr: stage.data, len: 16 * table.length, flags: INDIRECT });
      stage.ring.offer(3);
      expectBroken(stage, stage.open(overrides), code);
    });
  });
}

/** Legal, if odd. */
function pass(what: string, act: (stage: Stage) => void): void {
  it(`PASS: ${what}`, () => onStage(act));
}

describe('a hostile driver', () => {
  describe('avail ring', () => {
    it('REJECT: avail.idx further ahead than the ring has entries', () => {
      for (const ahead of [SIZE + 1, 300, 0x7fff, 0xffff]) {
        onStage((stage) => {
          stage.ring.setDesc(0, { addr: stage.data, len: 4 });
          stage.ring.availIdx = ahead;
          expectBroken(stage, stage.open(), 'ERR_VIRTQ_INDEX');
        });
      }
    });

    it('REJECT: avail.idx that moves back', () => {
      onStage((stage) => {
        stage.ring.setDesc(0, { addr: stage.data, len: 4 });
        stage.ring.offer(0);
        const queue = stage.open();
        queue.complete(queue.next()!, 0);
        stage.ring.availIdx = 0;
        expect(queue.next()).to.equal(null);
        expect(stage.ring.errors.map((e) => e.code)).to.deep.equal(['ERR_VIRTQ_INDEX']);
      });
    });

    it('REJECT: more chains than the ring has entries, counting those in flight', () => {
      onStage((stage) => {
        for (let i = 0; i < SIZE; i++) {
          stage.ring.setDesc(i, { addr: stage.data, len: 4 });
          stage.ring.offer(i);
        }
        const queue = stage.open();
        for (let i = 0; i < SIZE; i++) expect(queue.next()!.head).to.equal(i);
        stage.ring.offer(0);
        expect(queue.next()).to.equal(null);
        expect(stage.ring.errors.map((e) => e.code)).to.deep.equal(['ERR_VIRTQ_INDEX']);
      });
    });

    it('REJECT: a head outside the ring', () => {
      for (const head of [SIZE, 0x8000, 0xffff]) {
        onStage((stage) => {
          stage.ring.offer(head);
          expectBroken(stage, stage.open(), 'ERR_VIRTQ_HEAD');
        });
      }
    });

    it('REJECT: a head whose chain is in flight', () => {
      onStage((stage) => {
        stage.ring.setDesc(5, { addr: stage.data, len: 4 });
        stage.ring.offer(5);
        stage.ring.offer(5);
        const queue = stage.open();
        const chain = queue.next()!;
        expect(queue.next()).to.equal(null);
        expect(stage.ring.errors.map((e) => [e.code, e.at.queue])).to.deep.equal([['ERR_VIRTQ_HEAD', 0]]);
        queue.complete(chain, 0);
        expect([stage.ring.usedIdx, queue.inFlight], 'a broken ring is not written').to.deep.equal([0, 0]);
      });
    });

    pass('a head offered again after its completion', (stage) => {
      stage.ring.setDesc(5, { addr: stage.data, len: 4 });
      const queue = stage.open();
      for (let i = 0; i < 40; i++) {
        stage.ring.offer(5);
        queue.complete(queue.next()!, 0);
      }
      expect([stage.ring.usedIdx, stage.ring.errors.length]).to.deep.equal([40, 0]);
    });
  });

  describe('chains in the ring', () => {
    chainRule('next outside the ring', 'ERR_VIRTQ_NEXT', (data) => [{ addr: data, len: 4, flags: NEXT, next: SIZE }]);
    chainRule('a descriptor that follows itself', 'ERR_VIRTQ_CHAIN_LOOP', (data) => [
      { addr: data, len: 1, flags: NEXT, next: 0 },
    ]);
    chainRule('a loop of two empty buffers', 'ERR_VIRTQ_CHAIN_LOOP', () => [
      { flags: NEXT, next: 1 },
      { flags: NEXT, next: 0 },
    ]);
    chainRule('a readable buffer after a writable one', 'ERR_VIRTQ_CHAIN_ORDER', (data) => [
      { addr: data, len: 4, flags: WRITE | NEXT, next: 1 },
      { addr: data, len: 4 },
    ]);
    chainRule('a readable buffer after an empty writable one', 'ERR_VIRTQ_CHAIN_ORDER', (data) => [
      { flags: WRITE | NEXT, next: 1 },
      { addr: data, len: 4 },
    ]);
    chainRule('over 4 GiB in all', 'ERR_VIRTQ_CHAIN_BYTES', (data) => [
      { addr: data, len: 0xffff_ffff, flags: NEXT, next: 1 },
      { addr: data, len: 2, flags: WRITE },
    ]);
    chainRule(
      'more pieces than maxPieces',
      'ERR_VIRTQ_CHAIN_LONG',
      (data) => Array.from({ length: 6 }, (_, i) => ({ addr: data, len: 1, flags: i < 5 ? NEXT : 0, next: i + 1 })),
      { maxPieces: 5 },
    );

    pass('a chain as long as the ring', (stage) => {
      for (let i = 0; i < SIZE; i++) {
        stage.ring.setDesc(i, { addr: stage.data + i, len: 1, flags: i < SIZE - 1 ? NEXT : 0, next: i + 1 });
      }
      stage.ring.offer(0);
      expect(stage.open({ maxPieces: SIZE }).next()!.readCount).to.equal(SIZE);
    });

    pass('empty buffers, wherever they point', (stage) => {
      stage.ring.setDesc(0, { addr: 2 ** 60, flags: NEXT, next: 1 });
      stage.ring.setDesc(1, { addr: stage.data, len: 4, flags: NEXT, next: 2 });
      stage.ring.setDesc(2, { flags: WRITE });
      stage.ring.offer(0);
      const chain = stage.open().next()!;
      expect([chain.readCount, chain.readBytes, chain.writeCount, chain.writeBytes]).to.deep.equal([1, 4, 0, 0]);
    });

    pass('flag bits without a meaning', (stage) => {
      stage.ring.setDesc(0, { addr: stage.data, len: 4, flags: 0xfff8, next: 999 });
      stage.ring.offer(0);
      expect(stage.open().next()!.readBytes).to.equal(4);
    });
  });

  describe('indirect tables', () => {
    chainRule(
      'one that was not negotiated',
      'ERR_VIRTQ_INDIRECT',
      (data) => [{ addr: data, len: 16, flags: INDIRECT }],
      { indirect: false },
    );
    chainRule('no bytes', 'ERR_VIRTQ_INDIRECT', (data) => [{ addr: data, len: 0, flags: INDIRECT }]);
    chainRule('a length that is no multiple of 16', 'ERR_VIRTQ_INDIRECT', (data) => [
      { addr: data, len: 40, flags: INDIRECT },
    ]);
    chainRule('over 32768 entries', 'ERR_VIRTQ_INDIRECT', (data) => [{ addr: data, len: 32769 * 16, flags: INDIRECT }]);
    chainRule('NEXT together with INDIRECT', 'ERR_VIRTQ_INDIRECT', (data) => [
      { addr: data, len: 16, flags: INDIRECT | NEXT, next: 1 },
    ]);
    chainRule('a table outside memory', 'ERR_VIRTQ_INDIRECT', () => [{ addr: 64 * MiB, len: 16, flags: INDIRECT }]);
    chainRule('a table that leaves memory', 'ERR_VIRTQ_INDIRECT', () => [
      { addr: 2 * MiB - 16, len: 32, flags: INDIRECT },
    ]);
    chainRule('a table at the end of 64 bits', 'ERR_VIRTQ_INDIRECT', () => [
      { addr: 2 ** 64 - 4096, len: 8192, flags: INDIRECT },
    ]);
    tableRule('a nested table', 'ERR_VIRTQ_INDIRECT', (data) => [{ addr: data, len: 16, flags: INDIRECT }]);
    tableRule('next outside the table', 'ERR_VIRTQ_NEXT', (data) => [{ addr: data, len: 1, flags: NEXT, next: 1 }]);
    tableRule('a loop in the table', 'ERR_VIRTQ_CHAIN_LOOP', (data) => [
      { addr: data, len: 1, flags: NEXT, next: 1 },
      { addr: data, len: 1, flags: NEXT, next: 0 },
    ]);
    tableRule('a readable buffer after a writable one', 'ERR_VIRTQ_CHAIN_ORDER', (data) => [
      { addr: data, len: 1, flags: WRITE | NEXT, next: 1 },
      { addr: data, len: 1 },
    ]);
    tableRule(
      'more pieces than maxPieces',
      'ERR_VIRTQ_CHAIN_LONG',
      (data) => Array.from({ length: 40 }, (_, i) => ({ addr: data, len: 1, flags: i < 39 ? NEXT : 0, next: i + 1 })),
      { maxPieces: 39 },
    );
    it('REJECT: a readable table after a writable buffer of the ring', () => {
      onStage((stage) => {
        stage.ring.setTable(stage.data, [{ addr: stage.data, len: 4 }]);
        stage.ring.setDesc(0, { addr: stage.data, len: 4, flags: WRITE | NEXT, next: 1 });
        stage.ring.setDesc(1, { addr: stage.data, len: 16, flags: INDIRECT });
        stage.ring.offer(0);
        expectBroken(stage, stage.open(), 'ERR_VIRTQ_CHAIN_ORDER');
      });
    });

    pass('a table after buffers of the ring, longer than the ring, with WRITE on its descriptor', (stage) => {
      const table = Array.from({ length: 1024 }, (_, i) => ({
        addr: stage.data + i,
        len: 1,
        flags: (i < 1023 ? NEXT : 0) | (i >= 1000 ? WRITE : 0),
        next: i + 1,
      }));
      stage.ring.setTable(stage.data, table);
      stage.ring.setDesc(0, { addr: stage.data, len: 4, flags: NEXT, next: 1 });
      stage.ring.setDesc(1, { addr: stage.data, len: 16 * 1024, flags: INDIRECT | WRITE });
      stage.ring.offer(0);
      const chain = stage.open().next()!;
      expect([chain.readCount, chain.readBytes, chain.writeCount, chain.writeBytes]).to.deep.equal([
        1001, 1004, 24, 24,
      ]);
    });

    pass('a table at an odd address', (stage) => {
      const table = new Uint8Array(32);
      const words = new DataView(table.buffer);
      for (const [at, len, flags, next] of [
        [0, 5, NEXT, 1],
        [16, 6, WRITE, 0],
      ] as const) {
        words.setBigUint64(at, BigInt(stage.data), true);
        words.setUint32(at + 8, len, true);
        words.setUint16(at + 12, flags, true);
        words.setUint16(at + 14, next, true);
      }
      stage.ram.at(stage.data + 33, 32).set(table);
      stage.ring.setDesc(0, { addr: stage.data + 33, len: 32, flags: INDIRECT });
      stage.ring.offer(0);
      const chain = stage.open().next()!;
      expect([chain.readBytes, chain.writeBytes]).to.deep.equal([5, 6]);
    });
  });

  describe('buffers outside guest memory', () => {
    for (const [what, addr, len] of [
      ['beyond every region', 64 * MiB, 4],
      ['below every region', 0, 4],
      ['that ends a byte behind memory', 2 * MiB - 3, 4],
      ['above 2^53', 2 ** 63, 4],
      ['around 2^64', 2 ** 64 - 4096, 0xffff_0000],
      ['far longer than memory', MiB, 0xffff_0000],
    ] as const) {
      it(`REJECT the chain, keep the ring: a buffer ${what}`, () => {
        onStage((stage) => {
          stage.ring.setDesc(0, { addr: stage.data, len: 4, flags: NEXT, next: 1 });
          stage.ring.setDesc(1, { addr, len, flags: WRITE });
          stage.ring.setDesc(2, { addr: stage.data, len: 7 });
          stage.ring.offer(0);
          stage.ring.offer(2);
          const queue = stage.open();
          const chain = queue.next()!;
          expect([chain.head, chain.readBytes]).to.deep.equal([2, 7]);
          expect(stage.ring.errors.map((e) => [e.code, e.at.head])).to.deep.equal([['ERR_VIRTQ_BUFFER', 0]]);
          expect([stage.ring.usedIdx, stage.ring.usedElem(0), stage.ring.calls]).to.deep.equal([
            1,
            { id: 0, len: 0 },
            1,
          ]);
          queue.complete(chain, 0);
          const { badChains, chains, completed } = queue.stats;
          expect([badChains, chains, completed, queue.inFlight, queue.healthy]).to.deep.equal([1, 1, 1, 0, true]);
        });
      });
    }

    it('REJECT the ring: a bad buffer in a chain that breaks a rule, too', () => {
      onStage((stage) => {
        stage.ring.setDesc(0, { addr: 64 * MiB, len: 4, flags: NEXT, next: 0 });
        stage.ring.offer(0);
        expectBroken(stage, stage.open(), 'ERR_VIRTQ_CHAIN_LOOP');
      });
    });

    it('REJECT the ring: a driver that feeds long bad chains, before they take long', () => {
      onStage((stage) => {
        const entries = 32_768;
        const table = Array.from({ length: entries }, (_, i) => ({
          addr: 64 * MiB,
          len: 1,
          flags: i < entries - 1 ? NEXT : 0,
          next: i + 1,
        }));
        stage.ring.setTable(stage.data, table);
        stage.ring.setDesc(0, { addr: stage.data, len: 16 * entries, flags: INDIRECT });
        stage.ring.offer(0);
        const queue = stage.open({
          onError: (error) => {
            if (error.at.head === 0) stage.ring.offer(0);
          },
        });
        expect(queue.next()).to.equal(null);
        expect([queue.healthy, queue.stats.badChains]).to.deep.equal([false, 32]);
      });
    });

    it('REJECT the ring: a driver that feeds bad chains for ever', () => {
      onStage((stage) => {
        stage.ring.setDesc(0, { addr: 64 * MiB, len: 4 });
        stage.ring.offer(0);
        let told = 0;
        const queue = stage.open({
          onError: (error) => {
            told++;
            if (error.at.head === 0) stage.ring.offer(0);
          },
        });
        expect(queue.next()).to.equal(null);
        expect([queue.healthy, told, queue.stats.badChains]).to.deep.equal([false, 4097, 4096]);
      });
    });
  });

  it('REJECT: changes after the look (each descriptor is read once)', () => {
    onStage((stage) => {
      stage.ring.setDesc(0, { addr: stage.data, len: 8, flags: WRITE });
      stage.ring.offer(0);
      const queue = stage.open();
      const chain = queue.next()!;
      stage.ring.setDesc(0, { addr: 64 * MiB, len: 0xffff_ffff, flags: NEXT, next: 0 });
      expect(chain.write(0, new Uint8Array(64).fill(7), 0, 64)).to.equal(8);
      expect([...stage.ram.at(stage.data, 10)]).to.deep.equal([7, 7, 7, 7, 7, 7, 7, 7, 0, 0]);
    });
  });

  it('PASS: a used ring that the driver scribbles over (it is only written)', () => {
    onStage((stage) => {
      stage.ring.setDesc(0, { addr: stage.data, len: 8 });
      const queue = stage.open();
      for (let i = 0; i < 3; i++) {
        stage.ring.offer(0);
        stage.ring.usedIdx = 0xbeef;
        queue.complete(queue.next()!, 0);
        expect(stage.ring.usedIdx).to.equal(i + 1);
      }
    });
  });
});
