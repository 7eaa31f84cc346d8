/** A session that moves from one device to another, through a pipe. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, EBADF, Fd, O_RDWR } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { Rig, type RigOptions, sys } from './support/rig.ts';

const NO_WINDOW: RigOptions = { windowSize: 0 };
const CHUNK = 65_536;

/** A pipe, both ends non-blocking: to read, to write. */
function pipe(): [Fd, Fd] {
  const ends = new Int32Array(2);
  check(sys.fd.pipe(ends), 'pipe');
  for (const end of ends) sys.fd.setNonBlocking(end, true);
  return [new Fd(sys.fd, ends[0]!), new Fd(sys.fd, ends[1]!)];
}

/** Has a device tell its state, a piece at a turn. */
async function save(rig: Rig): Promise<Uint8Array> {
  const [from, to] = pipe();
  using end = from;
  let ok: boolean | null = null;
  rig.device.saveState!(to, (result) => {
    ok = result;
  });
  const pieces: Uint8Array[] = [];
  const piece = new Uint8Array(CHUNK);
  await rig.until(() => {
    const len = sys.fd.read(end.fd, piece, CHUNK);
    if (len > 0) pieces.push(piece.slice(0, len));
    return len === 0;
  });
  expect(ok).to.equal(true);
  return Buffer.concat(pieces);
}

/** Has a device take a state. @returns what it says of it */
async function load(rig: Rig, state: Uint8Array, piece = CHUNK): Promise<boolean> {
  const [from, to] = pipe();
  let ok: boolean | null = null;
  rig.device.loadState!(from, (result) => {
    ok = result;
  });
  let at = 0;
  await rig.until(() => {
    if (at === state.length) {
      if (!to.closed) to.close();
      return ok !== null;
    }
    const part = state.subarray(at, at + piece);
    const written = sys.fd.write(to.fd, part, part.length);
    if (written > 0) at += written;
    return ok !== null;
  });
  if (!to.closed) to.close();
  return ok!;
}

describe('a session that moves to another device', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir('oriel-moving-');
  });
  afterEach(() => dir[Symbol.dispose]());

  const open = (options: RigOptions = {}): Rig => new Rig({ ...NO_WINDOW, at: dir.path, ...options });

  /** A device in a session with an open file, which stands still. */
  async function source(options: RigOptions = {}) {
    const rig = open(options);
    await rig.mount({});
    writeFileSync(rig.path('file'), 'before');
    const nodeid = await rig.lookup('file');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    rig.host.pause();
    return { rig, nodeid, fh };
  }

  const write = (rig: Rig, nodeid: number, fh: number, text: string): Promise<number> =>
    rig.errno((r) => r.write(nodeid, fh, 0, text.length), Buffer.from(text));

  for (const piece of [1, 7, CHUNK]) {
    it(`goes on there with its numbers, and here when the move is given up (${piece} bytes at a time)`, async () => {
      const { rig, nodeid, fh } = await source();
      using from = rig;
      const state = await save(from);
      {
        using to = open();
        to.host.pause();
        expect(await load(to, state, piece)).to.equal(true);
        to.host.start();
        expect(await to.lookup('file')).to.equal(nodeid);
        expect(await write(to, nodeid, fh, 'there!')).to.equal(0);
        expect(readFileSync(to.path('file'), 'utf8')).to.equal('there!');
        // It may go on from there, too.
        to.host.pause();
        expect((await save(to)).length).to.equal(state.length);
      }
      from.host.start();
      expect(await write(from, nodeid, fh, 'here!!')).to.equal(0);
      expect(readFileSync(from.path('file'), 'utf8')).to.equal('here!!');
    });
  }

  it('moves more than a pipe holds, without holding the loop', async () => {
    using from = open();
    await from.mount({});
    const nodes: number[] = [];
    for (let n = 0; n < 3000; n++) {
      writeFileSync(from.path(`file-with-a-longer-name-${n}`), '');
      nodes.push(await from.lookup(`file-with-a-longer-name-${n}`));
    }
    from.host.pause();
    const state = await save(from);
    expect(state.length).to.be.greaterThan(3 * CHUNK);
    using to = open();
    to.host.pause();
    expect(await load(to, state)).to.equal(true);
    to.host.start();
    expect(to.fs.stats.inodes).to.equal(3001);
    for (const n of [0, 1500, 2999]) expect(await to.lookup(`file-with-a-longer-name-${n}`)).to.equal(nodes[n]);
  });

  it('moves before the driver has begun one', async () => {
    using from = open();
    from.host.pause();
    const state = await save(from);
    using to = open();
    to.host.pause();
    expect(await load(to, state)).to.equal(true);
    to.host.start();
    await to.mount({});
    writeFileSync(to.path('file'), '');
    expect(await to.lookup('file')).to.be.greaterThan(1);
  });

  it('does not move to a device that would have agreed something else', async () => {
    const { rig } = await source();
    using from = rig;
    const state = await save(from);
    using to = open({ readdirplus: false });
    to.host.pause();
    expect(await load(to, state)).to.equal(false);
    expect(to.lines.join()).to.include('other options');
  });

  it('is refused when it is cut, longer, or of another kind; then the device is as new', async () => {
    const { rig, nodeid } = await source();
    using from = rig;
    const state = await save(from);
    for (let len = 0; len < state.length; len += len < 40 ? 1 : 13) {
      using to = open();
      to.host.pause();
      expect(await load(to, state.subarray(0, len)), `${len}`).to.equal(false);
      expect(to.fs.stats).to.include({ inodes: 1, handles: 0 });
      to.host.start();
      await to.mount({});
      expect(await to.lookup('file')).to.be.greaterThan(1);
    }
    using longer = open();
    longer.host.pause();
    expect(await load(longer, Buffer.concat([state, Buffer.alloc(8)]))).to.equal(false);
    const other = Buffer.from(state);
    other[4] = 2;
    expect(await load(longer, other)).to.equal(false);
    longer.host.start();
    await longer.mount({});
    expect(await longer.errno((r) => r.getattr(nodeid))).to.equal(EBADF);
  });

  it('bears any bytes', async () => {
    const { rig } = await source();
    using from = rig;
    const state = await save(from);
    const changes = fc.array(fc.tuple(fc.nat(state.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    using to = open();
    to.host.pause();
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bad = Buffer.from(state);
        for (const [at, value] of list) bad[at] = value;
        await load(to, bad);
        to.device.reset();
        expect(to.fs.stats).to.include({ inodes: 1, handles: 0 });
      }),
      { numRuns: 100 },
    );
  });

  it('ends with a reset: no state is told or taken any more', async () => {
    const { rig } = await source();
    using from = rig;
    const ends: boolean[] = [];
    const note = (ok: boolean): void => {
      ends.push(ok);
    };
    const [first, to] = pipe();
    from.device.saveState!(to, note);
    from.device.reset();
    const [second, rest] = pipe();
    from.device.loadState!(second, note);
    from.device.reset();
    expect(ends).to.deep.equal([false, false]);
    first.close();
    rest.close();
  });

  it('outlives its process at the other side', async function () {
    const { rig, nodeid, fh } = await source();
    using from = rig;
    const state = await save(from);
    using to = open({ survive: true, host: { survive: true } });
    to.host.pause();
    if (to.device.stateBytes === undefined) this.skip();
    expect(await load(to, state)).to.equal(true);
    to.host.start();
    expect(await write(to, nodeid, fh, 'there!')).to.equal(0);
    to.killed();
    expect(await write(to, nodeid, fh, 'again!')).to.equal(0);
    expect(readFileSync(join(to.share, 'file'), 'utf8')).to.equal('again!');
  });

  it('cannot move from a window, or with locks of the host', () => {
    using window = open({ windowSize: 16 << 20 });
    expect([window.device.saveState, window.device.loadState]).to.deep.equal([undefined, undefined]);
    using locks = open({ share: { posixLocks: true } });
    expect([locks.device.saveState, locks.device.loadState]).to.deep.equal([undefined, undefined]);
  });
});
