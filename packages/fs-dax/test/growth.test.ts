import {
  appendFileSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { EBADF, O_APPEND, O_RDWR, O_TRUNC } from '@oriel/sys';
import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import { DAX_RANGE, type GrowthStep } from '../src/index.ts';
import { ALWAYS, decode, PAGE, Rig, type RigOptions, type Sent } from './support/rig.ts';

const R = DAX_RANGE;
const SIZE = 5 * PAGE + 123;

/** A rig whose file `odd` of SIZE bytes is grown for the mapping that is sent; the front-end has not answered. */
async function growing(options: RigOptions = {}): Promise<{ rig: Rig; nodeid: number }> {
  const rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' }, ...options });
  writeFileSync(rig.path('odd'), Buffer.alloc(SIZE, 'o'));
  utimesSync(rig.path('odd'), 1000, 1000.25);
  const nodeid = await rig.lookup('odd');
  rig.hold();
  rig.sendMap(nodeid, 0, 0);
  await rig.inFlight();
  expect(statSync(rig.path('odd')).size).to.equal(R);
  return { rig, nodeid };
}

const sizeOf = (rig: Rig): number => statSync(rig.path('odd')).size;

/** Where the crash record says that a file is grown, or ''. */
function recorded(rig: Rig): string {
  const state = `${rig.dir.path}/state`;
  const bytes = readFileSync(`${state}/${readdirSync(state)[0]}`);
  return bytes.toString('utf8', 52, 52 + bytes.readUInt32LE(48));
}

describe('a file that is grown for a mapping', () => {
  it('has its size and its times back before the guest has its answer', async () => {
    const steps: GrowthStep[] = [];
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' }, onGrowthStep: (step) => steps.push(step) });
    writeFileSync(rig.path('odd'), Buffer.alloc(R + SIZE, 'o'));
    const before = statSync(rig.path('odd'), { bigint: true });
    const seen: number[] = [];
    rig.onRequest(() => seen.push(sizeOf(rig)) && 0);
    expect(await rig.map(await rig.lookup('odd'), 1, 2)).to.equal(0);
    expect(seen).to.deep.equal([2 * R]);
    const after = statSync(rig.path('odd'), { bigint: true });
    expect([after.size, after.mtimeNs, after.atimeNs]).to.deep.equal([before.size, before.mtimeNs, before.atimeNs]);
    expect(readFileSync(rig.path('odd')).every((byte) => byte === 0x6f)).to.equal(true);
    expect(steps).to.deep.equal(['recorded', 'grown', 'mapped', 'shrunk', 'cleared']);
    expect(recorded(rig)).to.equal('');
  });

  it('is mapped to the end of the range, so that it may grow there for nothing', async () => {
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' } });
    writeFileSync(rig.path('odd'), Buffer.alloc(SIZE));
    const nodeid = await rig.lookup('odd');
    await rig.map(nodeid, 0, 0);
    for (const size of [SIZE + 1, 100 * PAGE + 7, R]) await rig.call((r) => r.setattr(nodeid, { size }));
    expect(rig.sentMappings).to.deep.equal([['map', 0, R]]);
  });

  it('is recorded by the name that it has then', async () => {
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' } });
    writeFileSync(rig.path('odd'), Buffer.alloc(R + SIZE));
    const nodeid = await rig.lookup('odd');
    await rig.map(nodeid, 0, 0);
    renameSync(rig.path('odd'), rig.path('renamed'));
    let path = '';
    rig.onRequest(() => {
      path = recorded(rig);
      return 0;
    });
    expect(await rig.map(nodeid, 1, 1)).to.equal(0);
    expect(path).to.equal('renamed');
  });

  it('shows its true size and time meanwhile, by whatever reply', async () => {
    const { rig: made, nodeid } = await growing();
    using rig = made;
    linkSync(rig.path('odd'), rig.path('other'));
    const found = (await rig.call((r) => r.lookup(1, 'other'))).readEntry();
    expect([found.nodeid, found.attr.size]).to.deep.equal([nodeid, SIZE]);
    expect([found.attr.mtime, found.attr.mtimeNs]).to.deep.equal([1000, 250_000_000]);
    const linked = (await rig.call((r) => r.link(nodeid, 1, 'third'))).readEntry();
    expect([linked.nodeid, linked.attr.size]).to.deep.equal([nodeid, SIZE]);
    const { fh } = await rig.call((r) => r.opendir(1));
    const records = (await rig.call((r) => r.readdirplus(1, fh, 0, 0, 4096))).readRecords();
    const sizes = records.flatMap(({ entry }) => (entry?.nodeid === nodeid ? [entry.attr.size] : []));
    expect(sizes).to.deep.equal([SIZE, SIZE, SIZE]);
    expect(sizeOf(rig), 'it was grown all the time').to.equal(R);
  });

  it('shows its true size also in a reply that is kept until it is not grown any more', async () => {
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'refuse' } });
    writeFileSync(rig.path('odd'), Buffer.alloc(5 * PAGE));
    const nodeid = await rig.lookup('odd');
    await rig.map(nodeid, 0, 0);
    rig.hold();
    const change = rig.send((r) => r.setattr(nodeid, { size: SIZE })); // needs the growth: the range holds 5 pages
    await rig.inFlight();
    expect(sizeOf(rig)).to.equal(R);
    const lookup = rig.send((r) => r.lookup(1, 'odd'));
    await rig.taken();
    expect([change.reply, lookup.reply]).to.deep.equal([null, null]);
    rig.release();
    expect((await rig.reply(lookup)).readEntry().attr.size).to.equal(SIZE);
    expect((await rig.reply(change)).readAttributes().size).to.equal(SIZE);
    expect(sizeOf(rig)).to.equal(SIZE);
  });

  it('holds requests that read, change or move it; others go on', async () => {
    const { rig: made, nodeid } = await growing();
    using rig = made;
    writeFileSync(rig.path('free'), 'free');
    const held = [
      rig.send((r) => r.getattr(nodeid)),
      rig.send((r) => r.open(nodeid, O_RDWR | O_TRUNC)),
      rig.send((r) => r.create(1, 'odd', O_RDWR | O_TRUNC, 0o644)),
      rig.send((r) => r.rename(1, 'odd', 1, 'moved')),
    ];
    const free = await rig.lookup('free');
    expect((await rig.call((r) => r.getattr(free))).error).to.equal(0);
    expect(held.map(({ reply }) => reply)).to.deep.equal([null, null, null, null]);
    expect(sizeOf(rig)).to.equal(R);
    rig.release();
    await rig.until(() => held.every(({ reply }) => reply !== null));
    expect((await rig.reply(held[0]!)).readAttributes().size).to.equal(SIZE);
    expect(statSync(rig.path('moved')).size, 'truncated behind the growth').to.equal(0);
  });

  it('holds on when a held request has it grown again', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('odd'), '');
    const nodeid = await rig.lookup('odd');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    await rig.call((r) => r.setattr(nodeid, { size: PAGE }));
    await rig.map(nodeid, 0, 0);
    appendFileSync(rig.path('odd'), 'h');
    rig.hold();
    const mapped = rig.sendMap(nodeid, 0, 1); // is grown
    await rig.inFlight();
    const append = (text: string): Sent =>
      rig.send((r) => r.write(nodeid, fh, PAGE, 1, O_RDWR | O_APPEND), Buffer.from(text));
    const writes = [append('1'), append('2'), append('3')]; // the first needs another growth: place 0 holds a page
    await rig.taken();
    const seen: number[] = [];
    rig.onRequest(() => seen.push(sizeOf(rig)) && 0);
    rig.release();
    await rig.until(() => [mapped, ...writes].every(({ reply }) => reply !== null));
    expect([mapped, ...writes].map((one) => decode(one).error)).to.deep.equal([0, 0, 0, 0]);
    expect(seen).to.deep.equal([R, R]);
    expect(readFileSync(rig.path('odd')).toString('utf8', PAGE)).to.equal('h123');
  });

  it('is not grown for an inode that is forgotten while it waits', async () => {
    const steps: GrowthStep[] = [];
    const options: RigOptions = { dax: { tail: 'grow' }, helper: true, onGrowthStep: (step) => steps.push(step) };
    await using rig = await Rig.mounted(ALWAYS, options);
    writeFileSync(rig.path('odd'), Buffer.alloc(SIZE));
    const nodeid = await rig.lookup('odd');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    const allocated = rig.send((r) => r.fallocate(nodeid, fh, 0, 10));
    const mapped = rig.sendMap(nodeid, 0, 0);
    rig.send((r) => r.forget(nodeid, 1));
    await rig.until(() => allocated.reply !== null && mapped.reply !== null);
    expect(decode(mapped).error).to.equal(EBADF);
    expect(steps).to.deep.equal([]);
  });

  it('waits for a copy into it', async () => {
    let early = false;
    const onGrowthStep = (): void => {
      rig.collect();
      early ||= copied.reply === null;
    };
    await using rig: Rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' }, helper: true, onGrowthStep });
    writeFileSync(rig.path('odd'), Buffer.alloc(SIZE));
    writeFileSync(rig.path('from'), Buffer.alloc(3 * PAGE, 'c'));
    const [nodeid, from] = [await rig.lookup('odd'), await rig.lookup('from')];
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    const { fh: fromFh } = await rig.call((r) => r.open(from, O_RDWR));
    const source = { nodeid: from, fh: fromFh, offset: 0 };
    const copied = rig.send((r) => r.copyFileRange(source, { nodeid, fh, offset: SIZE }, 3 * PAGE));
    const mapped = rig.sendMap(nodeid, 0, 0);
    await rig.until(() => copied.reply !== null && mapped.reply !== null);
    expect([decode(copied).count, decode(mapped).error, early]).to.deep.equal([3 * PAGE, 0, false]);
    expect(sizeOf(rig)).to.equal(SIZE + 3 * PAGE);
  });

  it('waits for requests in helper threads, and keeps later ones behind itself', async () => {
    await using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' }, helper: true });
    writeFileSync(rig.path('odd'), Buffer.alloc(SIZE));
    const nodeid = await rig.lookup('odd');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    const seen: number[] = [];
    rig.onRequest(() => seen.push(sizeOf(rig)) && 0);
    const allocated = rig.send((r) => r.fallocate(nodeid, fh, SIZE, 1000));
    const mapped = rig.sendMap(nodeid, 0, 0);
    const asked = rig.send((r) => r.getattr(nodeid));
    await rig.until(() => [allocated, mapped, asked].every(({ reply }) => reply !== null));
    expect((await rig.reply(mapped)).error).to.equal(0);
    expect(seen).to.deep.equal([R]);
    expect((await rig.reply(asked)).readAttributes().size).to.equal(SIZE + 1000);
    expect(sizeOf(rig), 'the guest allocated it').to.equal(SIZE + 1000);
  });

  it('waits for a request whose reply is kept for the mapping that grows the file', async () => {
    await using rig = await Rig.mounted(ALWAYS, { helper: true });
    writeFileSync(rig.path('odd'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('odd');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    await rig.call((r) => r.setattr(nodeid, { size: 2 * PAGE }));
    await rig.map(nodeid, 0, 0);
    appendFileSync(rig.path('odd'), 'odd');
    const allocated = rig.send((r) => r.fallocate(nodeid, fh, 0, 3 * PAGE + 5));
    const asked = rig.send((r) => r.getattr(nodeid)); // has it grown, which waits for the first, which waits for the range
    await rig.until(() => allocated.reply !== null && asked.reply !== null);
    expect([decode(allocated).error, decode(asked).error]).to.deep.equal([0, 0]);
    expect(sizeOf(rig)).to.equal(3 * PAGE + 5);
    expect(rig.mapped).to.deep.equal([
      [0, 2 * PAGE, 0],
      [2 * PAGE, R - 2 * PAGE, 2 * PAGE],
    ]);
  });

  it('is one at a time, also where several requests may be out: others wait for their turn', async () => {
    const limits = { ...profiles.strict.limits, maxInFlight: 4 };
    using rig = await Rig.mounted(ALWAYS, { dax: { tail: 'grow' }, host: { limits } });
    const names = ['a', 'b', 'c', 'd'];
    const nodeids: number[] = [];
    for (const name of names) {
      writeFileSync(rig.path(name), Buffer.alloc(SIZE));
      nodeids.push(await rig.lookup(name));
    }
    rig.hold();
    const grown: number[] = [];
    rig.onRequest(() => grown.push(names.filter((name) => statSync(rig.path(name)).size === R).length) && 0);
    const sent = nodeids.map((nodeid, slot) => rig.sendMap(nodeid, 0, slot));
    await rig.inFlight();
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, 0, 0, 0]);
    expect(grown).to.deep.equal([1, 1, 1, 1]);
    for (const name of names) expect(statSync(rig.path(name)).size).to.equal(SIZE);
  });
});
