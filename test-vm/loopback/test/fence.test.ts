import { EFAULT, EIO, ENOSPC, silentLogger } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE, GuestRam, type LoopbackOptions } from '../src/index.ts';
import { digest, errnoOf, pattern } from './support/bytes.ts';
import { MIB, type Mounted, Share, sys } from './support/share.ts';

const NS_PER_MS = 1e6;

describe('the moment from which a mapping counts', () => {
  let share: Share;
  /** Its back-end never gives up waiting for a memory update within a test. */
  let patient: Share;

  before(async () => {
    share = await Share.start();
    patient = await Share.start({ fenceTimeoutMs: 60_000 });
    for (const each of [share, patient]) each.put('big', pattern(8 * MIB, 31));
    share.put('other', pattern(2 * MIB, 32));
  });

  after(async () => {
    await share?.[Symbol.asyncDispose]();
    await patient?.[Symbol.asyncDispose]();
  });

  /** Reads the whole file through the window, and removes its ranges. */
  function expectWholeFile({ client, dax }: Mounted): void {
    const file = client.lookup('big');
    const seen = new Uint8Array(file.size);
    dax.read(file.nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('big')));
    dax.evict(file.nodeid);
  }

  /** A VM that counts how often the back-end asked for a round trip, since no memory update told it what it waited for. */
  function mountCounting(
    from: Share,
    options: Partial<LoopbackOptions> = {},
  ): Mounted & { readonly roundTrips: () => number } {
    let count = 0;
    const warn = (message: string): void => {
      if (message === 'back-channel request refused') count++;
    };
    const mounted = from.mount('always', { log: { ...silentLogger, warn }, ...options });
    return { ...mounted, roundTrips: () => count };
  }

  it('is not the answer: the guest would not see the mapping yet', () => {
    using mounted = mountCounting(patient);
    mounted.vm.window.behaviour.changeDelayMs = 5;
    expectWholeFile(mounted);
    expect(mounted.roundTrips()).to.equal(0);
    expect(mounted.vm.window.updateErrors).to.deep.equal([]);
  });

  it('is the memory update, however late it comes', () => {
    using mounted = mountCounting(patient);
    const { vm } = mounted;
    vm.window.behaviour.updateDelayMs = 5;
    const start = vm.sys.loop.nowNs();
    expectWholeFile(mounted);
    // Four ranges are set up, each behind its update.
    expect(vm.sys.loop.nowNs() - start).to.be.greaterThan(4 * 5 * NS_PER_MS);
    expect(mounted.roundTrips()).to.equal(0);
  });

  it('may be a memory update that overtakes the answer', () => {
    using mounted = mountCounting(patient);
    mounted.vm.window.behaviour.update = 'before-reply';
    expectWholeFile(mounted);
    expect(mounted.roundTrips()).to.equal(0);
  });

  it('is another round trip where no update ever comes', () => {
    using mounted = mountCounting(share);
    mounted.vm.window.behaviour.update = 'never';
    const { nodeid } = mounted.client.lookup('big');
    const seen = new Uint8Array(DAX_RANGE);
    mounted.dax.read(nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('big').subarray(0, DAX_RANGE)));
    expect(mounted.roundTrips()).to.equal(1);
    mounted.dax.evict(nodeid);
    expect(mounted.vm.window.entries()).to.have.length(0);
    expect(mounted.roundTrips()).to.equal(2);
  });

  it('is a whole new table where the front-end has no memory slots', () => {
    using mounted = mountCounting(patient, { memorySlots: false });
    expectWholeFile(mounted);
    expectWholeFile(mounted);
    expect(mounted.roundTrips()).to.equal(0);
    expect(mounted.vm.window.updateErrors).to.deep.equal([]);
  });

  it('is another round trip once there are more regions than a table without slots can hold', () => {
    using mounted = mountCounting(share, { memorySlots: false });
    share.put('long', pattern(20 * MIB, 33));
    const file = mounted.client.lookup('long');
    const seen = new Uint8Array(16 * MIB);
    mounted.dax.read(file.nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(share.get('long').subarray(0, seen.length)));
    // Guest memory and seven mappings fill the eight places of SET_MEM_TABLE.
    expect(mounted.roundTrips()).to.equal(1);
  });

  it('is not mistaken for a memory update that another device of the VM caused', () => {
    using mounted = mountCounting(share);
    const { client, vm } = mounted;
    using theirs = new GuestRam(sys, { size: DAX_RANGE, file: 'unsealed', gpa: 0x1_0000_0000 });
    using more = new GuestRam(sys, { size: DAX_RANGE, file: 'unsealed', gpa: 0x2_0000_0000 });
    const add = ({ gpa, size, userAddr, file }: GuestRam): void =>
      vm.ask((done) => vm.connection.addMemoryRegion({ gpa, size, userAddr, mmapOffset: 0, fd: file.fd }, done));
    add(theirs);
    vm.window.behaviour.update = 'never';
    const { nodeid } = client.lookup('big');
    const pending = client.sendSetupMapping(nodeid, 0, 0, DAX_RANGE, false);
    vm.until(() => vm.window.stats.maps === 1);
    const serve = vm.holdBackChannel();
    const { gpa, size, userAddr } = theirs;
    vm.ask((done) => vm.connection.removeMemoryRegion({ gpa, size, userAddr }, done));
    expect(pending.chain.done).to.equal(false);
    add(more);
    expect(pending.chain.done).to.equal(false);
    serve();
    client.finish(pending);
    expect(mounted.roundTrips()).to.equal(1);
  });

  it('is not the answer: a back-end that is told so lets the guest run into nothing', async () => {
    await using trusting = await Share.start({ frontend: 'strict' });
    trusting.put('big', pattern(2 * MIB, 34));
    using mounted = trusting.mount('always');
    mounted.vm.window.behaviour.changeDelayMs = 60_000;
    const { nodeid } = mounted.client.lookup('big');
    expect(errnoOf(() => mounted.dax.read(nodeid, 0, new Uint8Array(100)))).to.equal(EFAULT);
  });

  it('is its own for each request of several that are under way', () => {
    using mounted = share.mount('always');
    const { client, dax, vm } = mounted;
    const other = client.lookup('other').nodeid;
    const big = client.lookup('big').nodeid;
    dax.read(other, 0, new Uint8Array(100));
    vm.window.behaviour.updateDelayMs = 5;
    const removing = client.sendRemoveMapping(other, [0, DAX_RANGE]);
    const first = client.sendSetupMapping(big, 0, DAX_RANGE, DAX_RANGE, false);
    const second = client.sendSetupMapping(big, DAX_RANGE, 2 * DAX_RANGE, DAX_RANGE, false);
    for (const pending of [first, second]) {
      client.finish(pending);
      const at = pending === first ? 1 : 2;
      const seen = new Uint8Array(DAX_RANGE);
      expect(vm.window.read(at * DAX_RANGE, seen)).to.equal(DAX_RANGE);
      expect(digest(seen)).to.equal(digest(share.get('big').subarray((at - 1) * DAX_RANGE, at * DAX_RANGE)));
    }
    client.finish(removing);
    expect(vm.window.entries()).to.have.length(2);
    expect(vm.window.updateErrors).to.deep.equal([]);
  });

  it('never comes where the front-end refuses: EIO, and the next try may succeed', () => {
    using mounted = share.mount('always');
    const { client, dax, vm } = mounted;
    const { nodeid } = client.lookup('big');
    let refusals = 2;
    vm.window.behaviour.refuse = (kind) => (kind === 'map' && refusals-- > 0 ? -ENOSPC : 0);
    expect(errnoOf(() => dax.map(nodeid, 0, false))).to.equal(EIO);
    expect(errnoOf(() => dax.map(nodeid, 0, true))).to.equal(EIO);
    expect(errnoOf(() => dax.map(nodeid, 0, true))).to.equal(0);
    expect(digest(client.read(client.open('big'), 0, 1000))).to.equal(digest(share.get('big').subarray(0, 1000)));
  });

  it('is reached for other files while one request is left unanswered', () => {
    using mounted = share.mount('always');
    const { client, vm } = mounted;
    const { nodeid } = client.lookup('big');
    const serve = vm.holdBackChannel();
    const pending = client.sendSetupMapping(nodeid, 0, 0, DAX_RANGE, false);
    const file = client.open('other');
    expect(digest(client.read(file, 0, 2 * MIB))).to.equal(digest(share.get('other')));
    expect(pending.chain.done).to.equal(false);
    serve();
    client.finish(pending);
  });

  it('never comes for a removal that the front-end refuses: EIO, and the rest goes on', () => {
    using mounted = share.mount('always');
    const { client, dax, vm } = mounted;
    const { nodeid } = client.lookup('big');
    dax.map(nodeid, 0, false);
    vm.window.behaviour.refuse = (kind) => (kind === 'unmap' ? -EIO : 0);
    expect(errnoOf(() => client.removeMapping(nodeid, [0, DAX_RANGE]))).to.equal(EIO);
    expect(errnoOf(() => dax.map(nodeid, DAX_RANGE, false))).to.equal(0);
  });
});
