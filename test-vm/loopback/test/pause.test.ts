import { expect } from 'chai';
import { DAX_RANGE, type PendingRequest } from '../src/index.ts';
import { codeOf, digest, errnoOf, pattern } from './support/bytes.ts';
import { MIB, type Mounted, Share } from './support/share.ts';

describe('a VM that stops its rings', () => {
  let share: Share;

  before(async () => {
    share = await Share.start();
    share.put('big', pattern(6 * MIB, 21));
  });

  after(() => share?.[Symbol.asyncDispose]());

  it('goes on after a pause with every mapping and handle in place', () => {
    using mounted = share.mount('always');
    const { vm, client, dax } = mounted;
    const file = client.open('big');
    const seen = new Uint8Array(file.size);
    dax.read(file.nodeid, 0, seen);
    const { maps } = vm.window.stats;
    for (let round = 0; round < 3; round++) {
      vm.pause();
      expect(vm.window.entries()).to.have.length(3);
      vm.resume();
      dax.read(file.nodeid, 0, seen);
      expect(digest(seen)).to.equal(digest(share.get('big')));
      expect(digest(client.read(file, MIB, 100))).to.equal(digest(share.get('big').subarray(MIB, MIB + 100)));
    }
    expect(vm.window.stats.maps).to.equal(maps);
    expect(vm.requestsWhileStopped).to.equal(0);
    dax.evict(file.nodeid);
    expect(vm.window.entries()).to.have.length(0);
  });

  /** Sends a mapping request for the second range, and lets the front-end leave it unanswered. */
  async function leaveUnanswered({ vm, client }: Mounted): Promise<{ pending: PendingRequest; serve: () => void }> {
    const { nodeid } = client.lookup('big');
    const { chains } = (await share.backend.stats()).server;
    const serve = vm.holdBackChannel();
    const pending = client.sendSetupMapping(nodeid, DAX_RANGE, 0, DAX_RANGE, true);
    while ((await share.backend.stats()).server['chains']! === chains) {}
    return { pending, serve };
  }

  function expectSecondRange({ vm }: Mounted): void {
    const seen = new Uint8Array(DAX_RANGE);
    expect(vm.window.read(0, seen)).to.equal(DAX_RANGE);
    expect(digest(seen)).to.equal(digest(share.get('big').subarray(DAX_RANGE, 2 * DAX_RANGE)));
  }

  it('fetches a mapping request again when it paused before the answer, which comes after', async () => {
    using mounted = share.mount('always');
    const { vm, client } = mounted;
    const { pending, serve } = await leaveUnanswered(mounted);
    vm.pause();
    expect(pending.chain.done).to.equal(false);
    vm.resume();
    serve();
    client.finish(pending);
    expectSecondRange(mounted);
    expect(vm.window.stats.maps).to.equal(1);
  });

  it('fetches a mapping request again when it paused and the front-end refused it then', async () => {
    using mounted = share.mount('always');
    const { vm, client } = mounted;
    const { pending, serve } = await leaveUnanswered(mounted);
    vm.pause();
    serve();
    vm.resume();
    client.finish(pending);
    expect(vm.requestsWhileStopped).to.equal(1);
    expectSecondRange(mounted);
  });

  it('takes a mapping request up again that cannot go back into the ring', async () => {
    using mounted = share.mount('always');
    const { vm, client } = mounted;
    const { pending, serve } = await leaveUnanswered(mounted);
    // A later request is completed: the ring has moved on.
    client.statfs();
    for (let round = 0; round < 3; round++) {
      vm.pause();
      vm.resume();
      expect(pending.chain.done).to.equal(false);
    }
    serve();
    client.finish(pending);
    expectSecondRange(mounted);
    expect(vm.window.stats.maps).to.equal(1);
  });

  it('starts afresh after a reset with live mappings', () => {
    using mounted = share.mount('always');
    const { vm, client, dax } = mounted;
    const old = client.open('big');
    dax.read(old.nodeid, 0, new Uint8Array(old.size));
    vm.reset();
    expect(vm.window.entries()).to.have.length(0);
    expect(codeOf(() => client.read(old, 0, 10))).not.to.equal('');
    dax.forgetAll();
    client.mount('always');
    const file = client.open('big');
    const seen = new Uint8Array(file.size);
    dax.read(file.nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('big')));
    expect(vm.window.updateErrors).to.deep.equal([]);
  });

  it('takes a reset while a mapping request waits for its answer', async () => {
    using mounted = share.mount('always');
    const { vm, client, dax } = mounted;
    const { serve } = await leaveUnanswered(mounted);
    vm.pause();
    serve();
    vm.reset();
    client.mount('always');
    const file = client.open('big');
    const seen = new Uint8Array(file.size);
    dax.read(file.nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('big')));
  });

  it('takes a reset after which the front-end still carries out an old mapping request', async () => {
    using mounted = share.mount('always');
    const { vm, client, dax } = mounted;
    const { serve } = await leaveUnanswered(mounted);
    vm.reset();
    serve();
    client.mount('always');
    const file = client.open('big');
    const seen = new Uint8Array(file.size);
    dax.read(file.nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('big')));
    dax.evict(file.nodeid);
    expect(vm.window.entries()).to.have.length(0);
  });

  it('drops every mapping at an INIT that no DESTROY came before', () => {
    using mounted = share.mount('always');
    const { vm, client, dax } = mounted;
    dax.read(client.lookup('big').nodeid, 0, new Uint8Array(6 * MIB));
    client.mount('always');
    expect(vm.window.entries()).to.have.length(0);
    dax.forgetAll();
    const { nodeid } = client.lookup('big');
    expect(errnoOf(() => dax.read(nodeid, 0, new Uint8Array(6 * MIB)))).to.equal(0);
  });

  it('may crash with live mappings: the next one connects at once', () => {
    for (let round = 0; round < 5; round++) {
      const { vm, client, dax } = share.mount('always');
      try {
        const file = client.open('big');
        const seen = new Uint8Array(file.size);
        dax.read(file.nodeid, 0, seen);
        expect(digest(seen)).to.equal(digest(share.get('big')));
      } finally {
        vm.crash();
      }
    }
  });

  it('may crash while a mapping request waits for its answer', async () => {
    const mounted = share.mount('always');
    await leaveUnanswered(mounted);
    mounted.vm.crash();
    using next = share.mount('always');
    expect(next.client.lookup('big').size).to.equal(6 * MIB);
  });
});
