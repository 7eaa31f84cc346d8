import {
  FUSE_BATCH_FORGET,
  FUSE_DESTROY,
  FUSE_FORGET,
  FUSE_INIT,
  FUSE_INTERRUPT,
  FUSE_OPEN,
  FUSE_REMOVEMAPPING,
  FUSE_SETATTR,
  FUSE_SETUPMAPPING,
  FuseOpenIn,
  FuseSetupmappingIn,
  IN_HEADER,
  OUT_HEADER,
} from '@oriel/fuse';
import { RequestEncoder } from '@oriel/fuse/client';
import { EINVAL, O_TRUNC } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import { DAX_RANGE } from '../src/index.ts';
import { digest, errnoOf, pattern } from './support/bytes.ts';
import { MIB, type Mounted, PAGE, Share } from './support/share.ts';

/** Requests without a reply; those that end the session; one that could really change the shared files. */
const LEFT_OUT: readonly number[] = [
  FUSE_FORGET,
  FUSE_BATCH_FORGET,
  FUSE_INTERRUPT,
  FUSE_INIT,
  FUSE_DESTROY,
  FUSE_SETATTR,
];

/** An OPEN may well empty the file that the other tests read. */
function truncates(opcode: number, body: Uint8Array): boolean {
  if (opcode !== FUSE_OPEN || body.length < FuseOpenIn.byteLength) return false;
  return (FuseOpenIn.flags.get(new DataView(body.buffer, body.byteOffset), 0) & O_TRUNC) !== 0;
}

describe('a hostile driver at its device', () => {
  let share: Share;
  let mounted: Mounted;

  before(async () => {
    share = await Share.start();
    share.put('file', pattern(8 * MIB, 51));
    mounted = share.mount('always');
  });

  after(async () => {
    mounted?.[Symbol.dispose]();
    await share?.[Symbol.asyncDispose]();
  });

  function expectGoodService(): void {
    const seen = new Uint8Array(PAGE);
    const { nodeid } = mounted.client.lookup('file');
    mounted.dax.read(nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('file').subarray(0, PAGE)));
    mounted.dax.evict(nodeid);
  }

  it('gets every chain back, whatever bytes it sends', () => {
    const { vm } = mounted;
    const queue = vm.queues[1]!;
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 3 }),
        (readable, writable) => {
          fc.pre(readable.length + writable.length > 0);
          const chain = queue.request(readable, writable);
          const room = writable.reduce((sum, len) => sum + len, 0);
          expect(vm.await(queue, chain).length).to.be.at.most(room);
        },
      ),
      { numRuns: 300 },
    );
    expectGoodService();
  });

  it('gets every chain back, whatever follows a good header', () => {
    const { vm, client } = mounted;
    const encoder = new RequestEncoder();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }).filter((opcode) => !LEFT_OUT.includes(opcode)),
        fc.uint8Array({ maxLength: 160 }),
        fc.integer({ min: 0, max: 3 }),
        (opcode, body, nodeid) => {
          fc.pre(!truncates(opcode, body));
          const { queue, chain } = client.send('RANDOM', encoder.raw(opcode, nodeid, body, 4096));
          expect(vm.await(queue, chain).length).to.be.at.least(OUT_HEADER);
        },
      ),
      { numRuns: 300 },
    );
    expectGoodService();
  });

  /** SETUPMAPPING with places in the window and in the file that Linux never asks for. */
  const BAD_PLACES: readonly [string, { foffset?: number; moffset?: number; len?: number }][] = [
    ['in the middle of a range', { moffset: PAGE }],
    ['behind the window', { moffset: 16 * MIB }],
    ['far behind the window', { moffset: 2 ** 52 }],
    ['from the middle of a range of the file', { foffset: PAGE }],
    ['of no bytes', { len: 0 }],
    ['of half a page', { len: PAGE / 2 }],
    ['longer than the window', { len: 18 * MIB }],
    ['of almost all bytes there are', { len: 2 ** 53 - DAX_RANGE }],
  ];
  for (const [title, { foffset = 0, moffset = 0, len = DAX_RANGE }] of BAD_PLACES) {
    it(`is refused a mapping ${title}`, () => {
      const { client, vm } = mounted;
      const { nodeid } = client.lookup('file');
      expect(errnoOf(() => client.setupMapping(nodeid, foffset, moffset, len, true))).to.equal(EINVAL);
      expect(vm.window.entries()).to.have.length(0);
    });
  }

  it('is refused a mapping far behind the end of the file, of a directory, and of an inode that is none', () => {
    const { client, vm } = mounted;
    const { nodeid } = client.lookup('file');
    for (const [inode, foffset] of [
      [nodeid, 2 ** 52],
      [1, 0],
      [77_777, 0],
    ] as const) {
      expect(errnoOf(() => client.setupMapping(inode, foffset, 0, DAX_RANGE, true))).to.be.greaterThan(0);
    }
    expect(vm.window.entries()).to.have.length(0);
  });

  it('is refused places whose 64 bits do not fit a number', () => {
    const { client } = mounted;
    const { nodeid } = client.lookup('file');
    const body = new Uint8Array(FuseSetupmappingIn.byteLength).fill(0xff);
    const request = new RequestEncoder().raw(FUSE_SETUPMAPPING, nodeid, body, OUT_HEADER);
    expect(errnoOf(() => client.finish(client.send('SETUPMAPPING', request)))).to.equal(EINVAL);
  });

  it('may remove what is not there, twice, in pieces, and in numbers that do not fit the request', () => {
    const { client, dax, vm } = mounted;
    const { nodeid } = client.lookup('file');
    const moffset = dax.map(nodeid, 0, true);
    const removals = [
      [(moffset + DAX_RANGE) % (16 * MIB), DAX_RANGE],
      [moffset, DAX_RANGE, moffset, DAX_RANGE],
      [2 ** 52, DAX_RANGE],
      [PAGE, PAGE],
    ];
    for (const pairs of removals) errnoOf(() => client.removeMapping(nodeid, pairs));
    const claims = new RequestEncoder().raw(FUSE_REMOVEMAPPING, nodeid, new Uint8Array(20).fill(0xff), OUT_HEADER);
    expect(errnoOf(() => client.finish(client.send('REMOVEMAPPING', claims)))).to.equal(EINVAL);
    expect(vm.window.entries()).to.have.length(0);
    dax.forgetAll();
    expectGoodService();
  });

  it('may ask for everything at once, and gets it in any order', () => {
    const { client, vm } = mounted;
    const { nodeid } = client.lookup('file');
    const pending = [];
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 4; i++)
        pending.push(client.sendSetupMapping(nodeid, i * DAX_RANGE, ((i + round) % 8) * DAX_RANGE, DAX_RANGE, true));
      pending.push(client.sendRemoveMapping(nodeid, [round * DAX_RANGE, DAX_RANGE]));
    }
    for (const one of pending) errnoOf(() => client.finish(one));
    for (const { shmOffset, fdOffset, len } of vm.window.entries()) {
      const seen = new Uint8Array(len);
      vm.window.read(shmOffset, seen);
      expect(digest(seen)).to.equal(digest(share.get('file').subarray(fdOffset, fdOffset + len)));
    }
    client.unmount();
    expect(vm.window.entries()).to.have.length(0);
    client.mount('always');
    mounted.dax.forgetAll();
    expectGoodService();
  });

  it('may send requests before INIT and after DESTROY', () => {
    const { client } = mounted;
    client.unmount();
    expect(() => client.lookup('file')).to.throw();
    expect(() => client.setupMapping(1, 0, 0, DAX_RANGE, false)).to.throw();
    client.mount('always');
    mounted.dax.forgetAll();
    expectGoodService();
  });

  it('may send a request that is shorter than its header', () => {
    const { vm } = mounted;
    const queue = vm.queues[1]!;
    const chain = queue.request([new Uint8Array(IN_HEADER - 1)], [OUT_HEADER]);
    expect(vm.await(queue, chain).length).to.be.at.most(OUT_HEADER);
    expectGoodService();
  });
});
