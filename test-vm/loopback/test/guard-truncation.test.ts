import { statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { BlockingLoop, EFAULT, ETXTBSY, errnoName, SysError } from '@oriel/sys';
import { guardErrno } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { codeOf, errnoOf, pattern } from './support/bytes.ts';
import { MIB, type Mounted, PAGE, Share, sys } from './support/share.ts';
import { TruncatingHost } from './support/truncating-host.ts';

const SIZE = 6 * MIB;
const SEED = 77;
const TIMES = 100;

/** Places all over the file, the same in every run; a third on the edge of a range, where nothing that stays is touched. */
function randomCuts(): number[] {
  let state = 12345;
  const next = (below: number): number => {
    state = (state * 1103515245 + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: TIMES }, (_, time) => (time % 3 === 0 ? next(3) * DAX_RANGE : next(SIZE)));
}

function reaches(dax: Mounted['dax'], nodeid: number, at: number, whole: Uint8Array): boolean {
  const page = new Uint8Array(PAGE);
  try {
    dax.read(nodeid, at, page);
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
  return Buffer.compare(page, whole.subarray(at, at + PAGE)) === 0;
}

interface Seen {
  /** Pages that were right. */
  right: number;
  /** Pages below the cut that read as something else. */
  wrong: number;
  /** Pages below the cut that could not be reached. */
  unreached: number;
  /** Accesses to a mapping without a file behind it. */
  deadly: number;
}

/** Reads the file through the window as long as the host truncates it, and checks each page that must be whole. */
function readMeanwhile({ client, dax, vm }: Mounted, host: TruncatingHost): Seen {
  const whole = pattern(SIZE, SEED);
  const { nodeid } = client.lookup('file');
  const page = new Uint8Array(PAGE);
  const seen: Seen = { right: 0, wrong: 0, unreached: 0, deadly: 0 };
  for (let at = 0; !host.over; at = (at + 61 * PAGE) % SIZE) {
    vm.loop.runOnce(0);
    if (host.waiting && reaches(dax, nodeid, SIZE - PAGE, whole)) host.seen();
    const sequence = host.sequence;
    const floor = host.floor;
    let reached = true;
    try {
      dax.read(nodeid, at, page);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      reached = false;
      const place = dax.map(nodeid, at, false) + (at % DAX_RANGE);
      if (vm.window.entries().some(({ shmOffset, len }) => place >= shmOffset && place < shmOffset + len))
        seen.deadly++;
    }
    if (host.sequence !== sequence || at + PAGE > floor) continue;
    if (!reached) seen.unreached++;
    else if (Buffer.compare(page, whole.subarray(at, at + PAGE)) === 0) seen.right++;
    else seen.wrong++;
  }
  return seen;
}

/** Mappings whose end no file stands behind: a VMM whose guest loads from there dies. */
function dangling({ vm }: Mounted): number {
  const page = new Uint8Array(PAGE);
  return vm.window.entries().filter(({ shmOffset, len }) => vm.window.read(shmOffset + len - PAGE, page) < 0).length;
}

describe('a host that truncates what the guest has mapped', () => {
  let share: Share;

  before(function () {
    const errno = guardErrno(sys, tmpdir());
    if (errno === 0) return;
    console.warn(`      NOT TESTED HERE: the truncation guard (${errnoName(-errno)})`);
    this.skip();
  });

  afterEach(() => share?.[Symbol.asyncDispose]());

  async function serve(options: Parameters<typeof Share.start>[0]): Promise<Mounted> {
    share = await Share.start(options);
    share.put('file', pattern(SIZE, SEED));
    return share.mount('always');
  }

  for (const frontend of ['qemu', 'crosvm'] as const) {
    it(`costs no byte that stays, ${TIMES} times at random places (${frontend})`, async function () {
      this.timeout(60_000);
      using mounted = await serve({ guard: 'auto', frontend });
      const { client, dax } = mounted;
      dax.read(client.lookup('file').nodeid, 0, new Uint8Array(SIZE));
      const host = new TruncatingHost({
        path: share.path('file'),
        size: SIZE,
        seed: SEED,
        times: TIMES,
        cuts: randomCuts(),
      });
      const seen = readMeanwhile(mounted, host);
      await host.ended();

      expect(seen.deadly).to.equal(0);
      expect(seen.wrong).to.equal(0);
      expect(seen.unreached).to.equal(0);
      expect(seen.right).to.be.above(0);
      expect(dangling(mounted)).to.equal(0);
      expect(host.done + host.refused).to.equal(TIMES);
      expect(host.done).to.be.above(TIMES / 5);
      const { guard } = await share.backend.stats();
      expect(guard.yielded).to.be.above(0);
      expect(guard.unasked).to.equal(0);
      const after = new Uint8Array(SIZE);
      client.getattr(client.lookup('file').nodeid);
      dax.evict(client.lookup('file').nodeid);
      dax.read(client.lookup('file').nodeid, 0, after);
      expect(Buffer.compare(after, pattern(SIZE, SEED))).to.equal(0);
    });
  }

  it('takes bytes that stay out of reach for a moment where it was told to yield, and refuses nothing', async function () {
    this.timeout(60_000);
    using mounted = await serve({ guard: 'yield' });
    const { client, dax } = mounted;
    dax.read(client.lookup('file').nodeid, 0, new Uint8Array(SIZE));
    // On page boundaries, since the last part of a page cannot be mapped here.
    const cuts = randomCuts().map((cut) => cut - (cut % PAGE));
    const host = new TruncatingHost({ path: share.path('file'), size: SIZE, seed: SEED, times: TIMES, cuts });
    const seen = readMeanwhile(mounted, host);
    await host.ended();

    expect(host.refused).to.equal(0);
    expect(host.done).to.equal(TIMES);
    expect(seen.deadly).to.equal(0);
    expect(seen.wrong).to.equal(0);
    expect(seen.unreached).to.be.below(seen.right);
    expect(dangling(mounted)).to.equal(0);
  });

  it('refuses a host that truncates while the VM is paused, and lets it when the VM goes on', async () => {
    using mounted = await serve({ guard: 'auto' });
    const { client, dax, vm } = mounted;
    dax.read(client.lookup('file').nodeid, 0, new Uint8Array(SIZE));
    vm.pause();
    expect(codeOf(() => truncateSync(share.path('file'), 0))).to.equal('ETXTBSY');
    expect(vm.requestsWhileStopped).to.equal(0);
    vm.resume();
    const host = new TruncatingHost({ path: share.path('file'), size: SIZE, seed: SEED, times: 1, cuts: [0] });
    readMeanwhile(mounted, host);
    await host.ended();
    expect(host.done).to.equal(1);
    expect(dangling(mounted)).to.equal(0);
  });

  it('loses pages without a guard: a front-end that loads from them dies', async () => {
    using mounted = await serve({ guard: 'off' });
    const { client, dax } = mounted;
    const { nodeid } = client.lookup('file');
    dax.read(nodeid, 0, new Uint8Array(SIZE));
    truncateSync(share.path('file'), MIB);
    expect(errnoOf(() => dax.read(nodeid, 4 * MIB, new Uint8Array(PAGE)))).to.equal(EFAULT);
    expect(dangling(mounted)).to.be.above(0);
  });

  it('serves two guests of one directory, of which one truncates what the other has mapped', async () => {
    using loop = new BlockingLoop(sys);
    share = await Share.start({ guard: 'auto' });
    share.put('file', pattern(SIZE, SEED));
    using first = share.mount('always', { loop });
    await using other = await share.beside();
    using second = other.mount('always', { loop });
    const [one, two] = [first, second].map(({ client, dax }) => {
      const { nodeid } = client.lookup('file');
      dax.read(nodeid, 0, new Uint8Array(SIZE));
      return nodeid;
    }) as [number, number];

    // It is the first guest's own truncation for its device, and somebody else's for the other.
    first.client.setattr(one, { size: 2 * DAX_RANGE });
    expect(statSync(share.path('file')).size).to.equal(2 * DAX_RANGE);
    expect(second.vm.window.entries().map(({ fdOffset }) => fdOffset)).to.deep.equal([0, DAX_RANGE]);
    expect(dangling(second)).to.equal(0);
    expect(errnoOf(() => first.client.setattr(one, { size: 5000 }))).to.equal(ETXTBSY);
    second.client.setattr(two, { size: 0 });
    expect(statSync(share.path('file')).size).to.equal(0);

    // The second guest has let go of what it cut off by itself.
    expect(dangling(first)).to.equal(0);
    expect((await share.backend.stats()).guard.refused).to.equal(0);
    expect((await other.backend.stats()).guard.refused).to.equal(1);
  });
});
