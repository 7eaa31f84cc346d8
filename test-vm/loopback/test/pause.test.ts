import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { codeOf, digest, errnoOf, pattern } from './support/bytes.ts';
import { MIB, Share } from './support/share.ts';

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
    dax.evict(file.nodeid);
    expect(vm.window.entries()).to.have.length(0);
  });

  it('fetches a mapping request again when it paused before the front-end answered', () => {
    using mounted = share.mount('always');
    const { vm, client } = mounted;
    const { nodeid } = client.lookup('big');
    const serve = vm.holdBackChannel();
    const pending = client.sendSetupMapping(nodeid, DAX_RANGE, 0, DAX_RANGE, true);
    // A later request comes back first: the mapping is kept, not the queue.
    expect(client.statfs().namelen).to.equal(255);
    expect(pending.chain.done).to.equal(false);
    vm.pause();
    expect(pending.chain.done).to.equal(false);
    vm.resume();
    serve();
    client.finish(pending);
    const seen = new Uint8Array(DAX_RANGE);
    expect(vm.window.read(0, seen)).to.equal(DAX_RANGE);
    expect(digest(seen)).to.equal(digest(share.get('big').subarray(DAX_RANGE, 2 * DAX_RANGE)));
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

  it('takes a reset while a mapping request waits for its answer', () => {
    using mounted = share.mount('always');
    const { vm, client, dax } = mounted;
    const { nodeid } = client.lookup('big');
    const serve = vm.holdBackChannel();
    client.sendSetupMapping(nodeid, 0, 0, DAX_RANGE, true);
    client.statfs();
    vm.pause();
    serve();
    vm.reset();
    client.mount('always');
    const file = client.open('big');
    const seen = new Uint8Array(file.size);
    dax.read(file.nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('big')));
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

  it('may crash while a mapping request waits for its answer', () => {
    const { vm, client } = share.mount('always');
    const { nodeid } = client.lookup('big');
    vm.holdBackChannel();
    client.sendSetupMapping(nodeid, 0, 0, DAX_RANGE, true);
    client.statfs();
    vm.crash();
    using next = share.mount('always');
    expect(next.client.lookup('big').size).to.equal(6 * MIB);
  });
});
