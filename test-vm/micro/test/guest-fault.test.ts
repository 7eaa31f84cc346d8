import { openSys, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Scene, STORED_WORD } from '../src/scene.ts';
import { efaultSys, emulatesRealMode } from '../src/vm/efault-sys.ts';
import type { GuestMode } from '../src/vm/guest-mode.ts';
import { kvmMissing, MicroVm } from '../src/vm/micro-vm.ts';
import { realMode } from '../src/vm/real-mode.ts';
import { userMode } from '../src/vm/user-mode.ts';

const sys = openSys();
/** Kinds of guest and host; the exit where it is certain, whichever host this is. */
const HOSTS: readonly [string, GuestMode, () => Sys, string][] = [
  ['64-bit user code on this KVM', userMode, () => sys, ''],
  ['real mode on this KVM', realMode, () => sys, ''],
  ['EFAULT with an address', realMode, () => efaultSys(sys, 'known'), 'memory-fault'],
  ['EFAULT without one', userMode, () => efaultSys(sys, 'unknown'), 'efault'],
];

describe('a guest at the edges of a window', () => {
  let leaks: LeakCheck;
  before(function () {
    const missing = kvmMissing(sys);
    if (missing !== null) {
      console.log(`        skipped: ${missing}`);
      this.skip();
    }
  });
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  for (const [name, guest, host, exit] of HOSTS) {
    describe(name, () => {
      before(function () {
        if (exit === 'memory-fault' && !emulatesRealMode(sys)) {
          this.skip();
        }
      });

      it('inject: the exception comes at the very instruction, and the guest lives on', () => {
        using scene = new Scene(sys, { policy: 'inject' });
        using vm = new MicroVm({ sys: host(), mode: guest.name, window: scene.window, exception: 17 });
        const at = scene.offset('unmapped');
        const load = vm.load(at + 8);
        expect(load).to.include({ end: 'exception', vector: 17, faultedAt: guest.loadAt });
        expect(vm.store(at, STORED_WORD)).to.include({ end: 'exception', vector: 17, faultedAt: guest.storeAt });
        expect(scene.mapUnmapped()).to.equal(0);
        expect(vm.store(at, STORED_WORD)).to.include({ end: 'done' });
        expect(scene.fileWord()).to.equal(STORED_WORD);
        if (exit !== '') {
          expect(load.exits.map(({ kind }) => kind)).to.deep.equal([exit]);
        }
      });

      it('fault: the VM stops, and is told why', () => {
        using scene = new Scene(sys, { policy: 'fault' });
        using vm = new MicroVm({ sys: host(), mode: guest.name, window: scene.window });
        expect(vm.load(scene.offset('truncated')).end).to.equal('stopped');
        expect(vm.load(scene.offset('unmapped')).end).to.equal('stopped');
        expect(scene.faults).to.have.length(2);
        expect(scene.faults[0]).to.include({ by: 'guest', cause: 'truncated', verdict: 'stop' });
        const told = scene.faults[0]?.shmOffset;
        expect(told).to.be.oneOf([scene.offset('truncated'), null]);
        if (exit !== '') {
          expect(told === null).to.equal(exit === 'efault');
        }
      });

      for (const policy of ['zero-ro', 'discard', 'private'] as const) {
        it(`${policy}: a truncated file becomes the policy's pages, and the guest goes on`, () => {
          using scene = new Scene(sys, { policy, discardMeans: 'slots' });
          const readOnlySlots = policy === 'discard' ? 'split' : 'none';
          using vm = new MicroVm({ sys: host(), mode: guest.name, window: scene.window, readOnlySlots });
          const at = scene.offset('truncated');
          const load = vm.load(at);
          expect(load).to.include({ end: 'done', value: 0 });
          expect(load.exits).to.have.length(1);
          expect(scene.faults[0]).to.include({ by: 'guest', cause: 'truncated', verdict: 'retry' });
          expect(scene.window.entries().map(({ lost }) => lost / sys.mem.pageSize)).to.deep.equal([0, 0, 1]);
          expect(vm.load(at), 'without an exit now').to.deep.include({ end: 'done', value: 0, exits: [] });
          expect(vm.load(at - 4), 'what the file keeps').to.deep.include({ value: 0x454c_4946, exits: [] });
        });
      }

      it('unmapped again: the guest finds no byte of the file, and private memory is zero again', () => {
        using scene = new Scene(sys, { policy: 'private' });
        using vm = new MicroVm({ sys: host(), mode: guest.name, window: scene.window });
        const at = scene.offset('unmapped');
        vm.store(at, STORED_WORD);
        expect(vm.load(at).value).to.equal(STORED_WORD);
        expect(scene.mapUnmapped()).to.equal(0);
        expect(vm.load(at).value).to.equal(0x454c_4946);
        expect(scene.unmapUnmapped()).to.equal(0);
        expect(vm.load(at)).to.deep.include({ end: 'done', value: 0, exits: [] });
      });

      it('discard: a range maps and unmaps while its neighbours keep their slots', () => {
        using scene = new Scene(sys, { policy: 'discard', discardMeans: 'slots' });
        using vm = new MicroVm({ sys: host(), mode: guest.name, window: scene.window, readOnlySlots: 'split' });
        const at = scene.offset('unmapped');
        expect(vm.store(at, STORED_WORD).exits).to.deep.equal([{ kind: 'mmio', verdict: 'drop' }]);
        expect(vm.load(at)).to.deep.include({ value: 0, exits: [] });
        scene.mapUnmapped();
        vm.windowChanged();
        expect(vm.store(at, STORED_WORD)).to.deep.include({ end: 'done', exits: [] });
        expect(scene.fileWord()).to.equal(STORED_WORD);
        scene.unmapUnmapped();
        vm.windowChanged();
        expect(vm.load(at)).to.deep.include({ value: 0, exits: [] });
      });
    });
  }

  it('gives up on a guest that faults for ever, in bounded time', () => {
    using scene = new Scene(sys, { policy: 'private' });
    using vm = new MicroVm({ sys: efaultSys(sys, 'known'), mode: 'real', window: scene.window });
    scene.window.guestFault = () => 'retry';
    const report = vm.load(scene.offset('truncated'));
    expect(report.end).to.equal('stopped');
    expect(report.exits.length).to.be.within(2, 16);
  });
});
