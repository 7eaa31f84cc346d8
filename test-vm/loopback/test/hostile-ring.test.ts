import { expect } from 'chai';
import { type LoopbackVm, RAM_GPA } from '../src/index.ts';
import { digest, pattern } from './support/bytes.ts';
import { INDIRECT, NEXT, type RawDescriptor, RawRing, WRITE, writeDescriptor } from './support/raw-ring.ts';
import { MIB, PAGE, Share } from './support/share.ts';

const QUEUE_SIZE = 128;
const TABLE_GPA = RAM_GPA + 8 * MIB;
const BUFFER = { addr: RAM_GPA + 4 * MIB, len: 100 };

/** What breaks the ring for good, and the code that the log gives for it. */
const BREAKS: readonly [string, string, (ring: RawRing, vm: LoopbackVm) => void][] = [
  [
    'a chain that loops',
    'ERR_VIRTQ_CHAIN_LOOP',
    (ring) => ring.describe({ ...BUFFER, flags: NEXT, next: 1 }, { ...BUFFER, flags: NEXT, next: 0 }).publish([0]),
  ],
  [
    'a descriptor that follows itself',
    'ERR_VIRTQ_CHAIN_LOOP',
    (ring) => ring.describe({ ...BUFFER, flags: NEXT }).publish([0]),
  ],
  ['a head outside the table', 'ERR_VIRTQ_HEAD', (ring) => ring.publish([QUEUE_SIZE])],
  [
    'a chain that leaves the table',
    'ERR_VIRTQ_NEXT',
    (ring) => ring.describe({ ...BUFFER, flags: NEXT, next: 0xffff }).publish([0]),
  ],
  ['an index that runs ahead', 'ERR_VIRTQ_INDEX', (ring) => ring.describe(BUFFER).publish([0], QUEUE_SIZE + 1)],
  [
    'a readable buffer behind a writable one',
    'ERR_VIRTQ_CHAIN_ORDER',
    (ring) => ring.describe({ ...BUFFER, flags: WRITE | NEXT, next: 1 }, BUFFER).publish([0]),
  ],
  [
    'over 4 GiB in one chain',
    'ERR_VIRTQ_CHAIN_BYTES',
    (ring) =>
      ring
        .describe(
          { addr: RAM_GPA, len: 0xffff_f000, flags: NEXT, next: 1 },
          { addr: RAM_GPA, len: 0xffff_f000, flags: NEXT, next: 2 },
          { addr: RAM_GPA, len: 0xffff_f000 },
        )
        .publish([0]),
  ],
  [
    'an indirect table of half a descriptor',
    'ERR_VIRTQ_INDIRECT',
    (ring) => ring.describe({ addr: TABLE_GPA, len: 24, flags: INDIRECT }).publish([0]),
  ],
  [
    'an indirect table outside of memory',
    'ERR_VIRTQ_INDIRECT',
    (ring) => ring.describe({ addr: 0x1000, len: 32, flags: INDIRECT }).publish([0]),
  ],
  [
    'an indirect table in an indirect table',
    'ERR_VIRTQ_INDIRECT',
    (ring, vm) => {
      const table = vm.ram.at(TABLE_GPA, PAGE);
      writeDescriptor(new DataView(table.buffer, table.byteOffset), 0, { addr: TABLE_GPA, len: 16, flags: INDIRECT });
      ring.describe({ addr: TABLE_GPA, len: 16, flags: INDIRECT }).publish([0]);
    },
  ],
];

/** What costs one chain only. */
const REFUSED: readonly [string, RawDescriptor][] = [
  ['a buffer outside of memory', { addr: 0x1000, len: 100 }],
  ['a buffer that starts in memory and leaves it', { addr: RAM_GPA + 16 * MIB - 10, len: 100 }],
  ['a buffer at the end of the address space', { addr: 2 ** 64 - 4096, len: 4096 }],
  ['a buffer of 4 GiB', { addr: RAM_GPA, len: 0xffff_ffff }],
];

describe('a hostile driver at its ring', () => {
  let share: Share;

  before(async () => {
    share = await Share.start();
    share.put('file', pattern(2 * MIB, 41));
  });

  after(() => share?.[Symbol.asyncDispose]());

  /** Waits until a counter of the back-end has grown. */
  async function grown(counter: string, before: number): Promise<void> {
    while ((await share.backend.stats()).server[counter]! === before) {}
  }

  function expectGoodService(): void {
    using mounted = share.mount('always');
    const seen = new Uint8Array(2 * MIB);
    mounted.dax.read(mounted.client.lookup('file').nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('file')));
  }

  for (const [title, code, attack] of BREAKS) {
    it(`breaks its ring by ${title}, and harms nobody else`, async () => {
      const { ringErrors } = (await share.backend.stats()).server;
      const logged = share.backend.log.length;
      const vm = share.boot({ queueSize: QUEUE_SIZE });
      try {
        attack(new RawRing(vm, vm.queues[1]!), vm);
        await grown('ringErrors', ringErrors!);
        // The broken ring rests; the other and the control messages are served.
        expect(vm.config(0, 5)).to.deep.equal(Uint8Array.from(Buffer.from('share')));
        expect(share.backend.log.slice(logged)).to.include(code);
      } finally {
        vm.crash();
      }
      expectGoodService();
    });
  }

  it('gets good service again after it resets the device', async () => {
    const { ringErrors } = (await share.backend.stats()).server;
    using mounted = share.mount('always');
    mounted.vm.reset();
    new RawRing(mounted.vm, mounted.vm.queues[1]!).publish([QUEUE_SIZE]);
    await grown('ringErrors', ringErrors!);
    mounted.vm.reset();
    mounted.client.mount('always');
    expect(mounted.client.lookup('file').size).to.equal(2 * MIB);
  });

  for (const [title, descriptor] of REFUSED) {
    it(`gets a chain with ${title} back empty, and the ring goes on`, async () => {
      const { badChains } = (await share.backend.stats()).server;
      using mounted = share.mount('always');
      const { vm, client } = mounted;
      const { addr: gpa, len } = descriptor;
      const chain = vm.queues[1]!.submit([{ gpa, len, writable: false }]);
      expect(vm.await(vm.queues[1]!, chain)).to.have.length(0);
      await grown('badChains', badChains!);
      expect(client.lookup('file').size).to.equal(2 * MIB);
    });
  }

  it('gets chains of empty buffers back', () => {
    using mounted = share.mount('always');
    const { vm, client } = mounted;
    const queue = vm.queues[1]!;
    for (const writable of [false, true]) {
      const chain = queue.submit([{ gpa: RAM_GPA, len: 0, writable }]);
      expect(vm.await(queue, chain)).to.have.length(0);
    }
    expect(client.lookup('file').size).to.equal(2 * MIB);
  });
});
