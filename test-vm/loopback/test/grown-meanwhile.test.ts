import { statSync } from 'node:fs';
import { expect } from 'chai';
import { DAX_RANGE, type PendingRequest } from '../src/index.ts';
import { digest, pattern } from './support/bytes.ts';
import { MIB, type Mounted, Share } from './support/share.ts';

const ODD = 3 * MIB + 1234;
const GROWN = 2 * DAX_RANGE;

describe('a file that is grown for a mapping which nobody answers', () => {
  let share: Share;
  let bytes: Uint8Array;

  before(async () => {
    share = await Share.start({ tail: 'grow' });
  });

  after(() => share?.[Symbol.asyncDispose]());

  beforeEach(() => {
    bytes = share.put('odd', pattern(ODD, 91));
    share.put('other', pattern(MIB, 92));
  });

  function hostSize(): number {
    return statSync(share.path('odd')).size;
  }

  /** Asks for the mapping, and waits until the file is grown for it. */
  async function grow({ vm, client }: Mounted): Promise<{ pending: PendingRequest; serve: () => void }> {
    const { nodeid } = client.lookup('odd');
    const serve = vm.holdBackChannel();
    const pending = client.sendSetupMapping(nodeid, DAX_RANGE, 0, DAX_RANGE, true);
    while (hostSize() === ODD) await share.backend.stats();
    expect(hostSize()).to.equal(GROWN);
    return { pending, serve };
  }

  function expectWholeFile({ client, dax }: Mounted): void {
    const seen = new Uint8Array(ODD);
    dax.read(client.lookup('odd').nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(bytes));
  }

  it('is not shown to the guest so: what touches it waits, and the rest goes on', async () => {
    using mounted = share.mount('always');
    const { client, vm } = mounted;
    const other = client.open('other');
    const odd = client.open('odd');
    const { pending, serve } = await grow(mounted);
    const attributes = client.sendGetattr(odd.nodeid);
    expect(digest(client.read(other, 0, MIB))).to.equal(digest(share.get('other')));
    expect(attributes.chain.done).to.equal(false);
    serve();
    client.finish(pending);
    expect(client.finishAttributes(attributes).size).to.equal(ODD);
    expect(hostSize()).to.equal(ODD);
    const seen = new Uint8Array(ODD - DAX_RANGE);
    vm.window.read(0, seen);
    expect(digest(seen)).to.equal(digest(bytes.subarray(DAX_RANGE)));
  });

  it('is as it was when the front-end refuses', async () => {
    using mounted = share.mount('always');
    const { client, vm } = mounted;
    const { pending, serve } = await grow(mounted);
    vm.window.behaviour.refuse = () => -1;
    serve();
    expect(() => client.finish(pending)).to.throw('EIO');
    expect(hostSize()).to.equal(ODD);
    vm.window.behaviour.refuse = () => 0;
    expectWholeFile(mounted);
  });

  it('is as it was when the front-end crashes', async () => {
    const mounted = share.mount('always');
    await grow(mounted);
    mounted.vm.crash();
    while ((await share.backend.stats()).inodes > 1) {}
    expect(hostSize()).to.equal(ODD);
    expect(digest(share.get('odd'))).to.equal(digest(bytes));
    using next = share.mount('always');
    expectWholeFile(next);
  });

  it('is as it was when the front-end pauses, and is mapped when it goes on', async () => {
    using mounted = share.mount('always');
    const { client, vm } = mounted;
    const { pending, serve } = await grow(mounted);
    vm.pause();
    serve();
    vm.resume();
    client.finish(pending);
    expect(hostSize()).to.equal(ODD);
    expectWholeFile(mounted);
  });

  it('is as it was when the driver resets the device', async () => {
    using mounted = share.mount('always');
    const { client, vm } = mounted;
    const { serve } = await grow(mounted);
    vm.pause();
    serve();
    vm.reset();
    client.mount('always');
    expect(hostSize()).to.equal(ODD);
    expectWholeFile(mounted);
  });

  it('is as it was when the back-end ends', async () => {
    await using own = await Share.start({ tail: 'grow' });
    own.put('odd', bytes);
    const { vm, client } = own.mount('always');
    try {
      vm.holdBackChannel();
      client.sendSetupMapping(client.lookup('odd').nodeid, DAX_RANGE, 0, DAX_RANGE, true);
      while (statSync(own.path('odd')).size === ODD) await own.backend.stats();
      expect(await own.backend.stop()).to.equal(0);
      expect(digest(own.get('odd'))).to.equal(digest(bytes));
    } finally {
      vm.crash();
    }
    await own.startBackend();
    expect(own.backend.log).not.to.include('shortened a file');
  });
});
