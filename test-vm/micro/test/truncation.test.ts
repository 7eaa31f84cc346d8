import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type UnmappedPolicy, Window } from '@oriel/shm-region';
import { check, Fd, MFD_CLOEXEC, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { pageStamp, type SweepOrder, type TruncateOrder } from '../src/truncation/order.ts';
import { efaultSys, emulatesRealMode } from '../src/vm/efault-sys.ts';
import { kvmMissing, MicroVm } from '../src/vm/micro-vm.ts';

const sys = openSys();
const PAGE = sys.mem.pageSize;
const PAGES = 256;
const TIMES = 100;

function shared(words: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * words));
}

function stampedFile(): Fd {
  const file = new Fd(sys.fd, check(sys.mem.memfdCreate('truncated', MFD_CLOEXEC), 'memfd_create'));
  stamp(file);
  return file;
}

function stamp(file: Fd): void {
  check(sys.file.ftruncate(file.fd, PAGES * PAGE), 'ftruncate');
  const word = new Uint32Array(1);
  for (let page = 0; page < PAGES; page += 1) {
    word[0] = pageStamp(page);
    check(sys.fd.pwrite(file.fd, word, 4, page * PAGE), 'pwrite');
  }
}

describe('a guest sweeps over a mapped file while the host truncates it', function () {
  this.timeout(60_000);
  before(function () {
    if (kvmMissing(sys) !== null) {
      this.skip();
    }
  });

  for (const [how, mode, host] of [
    ['user code on this KVM', 'user', () => sys],
    ['real mode on this KVM', 'real', () => sys],
    ['EFAULT with an address', 'real', () => efaultSys(sys, 'known')],
  ] as const) {
    for (const policy of ['zero-ro', 'private', 'discard'] satisfies UnmappedPolicy[]) {
      it(`without a guard, ${policy}, ${how}: ${TIMES} times, the guest lives and no byte before the cut is wrong`, async function () {
        if (host() !== sys && !emulatesRealMode(sys)) {
          this.skip();
        }
        using leaks = leakCheck();
        using file = stampedFile();
        using window = new Window(sys, { shmid: 0, size: PAGES * PAGE, unmapped: policy, discardMeans: 'slots' });
        using vm = new MicroVm({ sys: host(), mode, window, readOnlySlots: policy === 'discard' ? 'split' : 'none' });
        const state = shared(3);
        const order: TruncateOrder = { fd: file.fd, pages: PAGES, state, seed: 7 };
        const thread = new Worker(new URL('../src/truncation/truncate-thread.ts', import.meta.url), {
          workerData: order,
        });
        let zeros = 0;
        const wire = { shmid: 0, shmOffset: 0, len: PAGES * PAGE, fdOffset: 0, writable: true };
        for (let round = 0; round < TIMES; round += 1) {
          expect(window.map(wire, file.dup())).to.equal(0);
          vm.windowChanged();
          Atomics.store(state, 0, 1);
          Atomics.notify(state, 0);
          let end = false;
          do {
            end = Atomics.load(state, 0) === 0;
            const { report, words } = vm.sweep(0, PAGE, PAGES);
            expect(report.end).to.equal('done');
            const cut = Atomics.load(state, 0) === 0 ? Atomics.load(state, 1) : 0;
            words.forEach((word, page) => {
              if (word === 0) {
                zeros += 1;
              }
              if (word !== pageStamp(page) && (word !== 0 || page < cut)) {
                throw new Error(`round ${round}: page ${page} is ${word}, cut at ${cut}`);
              }
            });
          } while (!end);
          expect(window.unmap(wire)).to.equal(0);
          stamp(file);
        }
        Atomics.store(state, 2, 1);
        Atomics.store(state, 0, 1);
        Atomics.notify(state, 0);
        await once(thread, 'exit');
        expect(zeros).to.be.above(0);
        vm[Symbol.dispose]();
        window[Symbol.dispose]();
        file.close();
        leaks.check();
      });
    }
  }

  it(`unmapped before each of ${TIMES} truncations: no exit, and zeros only in the chunk that went`, async () => {
    const chunkPages = 64;
    const chunks = PAGES / chunkPages;
    using file = stampedFile();
    using window = new Window(sys, { shmid: 0, size: PAGES * PAGE, unmapped: 'zero-ro' });
    const chunk = (index: number) => {
      const at = index * chunkPages * PAGE;
      return { shmid: 0, shmOffset: at, len: chunkPages * PAGE, fdOffset: at, writable: true };
    };
    for (let index = 0; index < chunks; index += 1) {
      expect(window.map(chunk(index), file.dup())).to.equal(0);
    }
    const state = shared(4 + chunks);
    const order: SweepOrder = { addr: window.addr, size: window.size, pages: PAGES, state, chunkPages };
    const thread = new Worker(new URL('../src/truncation/sweep-thread.ts', import.meta.url), { workerData: order });
    await once(thread, 'message');
    let random = 11;
    const last = chunks - 1;
    for (let round = 0; round < TIMES; round += 1) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      const left = last * chunkPages + ((random >>> 8) % chunkPages);
      expect(window.unmap(chunk(last))).to.equal(0);
      check(sys.file.ftruncate(file.fd, left * PAGE), 'ftruncate');
      const made = Atomics.load(state, 0);
      Atomics.wait(state, 0, made, 1000);
      stamp(file);
      expect(window.map(chunk(last), file.dup())).to.equal(0);
    }
    Atomics.store(state, 1, 1);
    await once(thread, 'exit');
    const [sweeps, , wrong, exits, ...zeros] = state;
    expect(sweeps).to.be.above(TIMES / 2);
    expect({ wrong, exits, zeros: zeros.slice(0, last) }).to.deep.equal({ wrong: 0, exits: 0, zeros: [0, 0, 0] });
    expect(zeros[last]).to.be.above(0);
  });
});
