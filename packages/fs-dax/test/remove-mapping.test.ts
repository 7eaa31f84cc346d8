import { writeFileSync } from 'node:fs';
import { EBADF, EINVAL, EIO, EMFILE } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, decode, descriptorsOf, PAGE, READ, Rig } from './support/rig.ts';

const R = DAX_RANGE;

/** A file of eight ranges, all of them mapped. */
async function filled(rig: Rig): Promise<number> {
  writeFileSync(rig.path('file'), Buffer.alloc(8 * R));
  const nodeid = await rig.lookup('file');
  for (let slot = 0; slot < 8; slot++) expect(await rig.map(nodeid, slot, slot)).to.equal(0);
  return nodeid;
}

const offsets = (rig: Rig): number[] => rig.mapped.map(([shmOffset]) => shmOffset! / R);

describe('REMOVEMAPPING', () => {
  it('answers when the front-end has removed a range', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    rig.hold();
    const sent = rig.send((r) => r.removemapping(nodeid, [3 * R, R]));
    await rig.inFlight();
    expect(sent.reply).to.equal(null);
    rig.release();
    expect((await rig.reply(sent)).error).to.equal(0);
    expect(rig.sentMappings.at(-1)).to.deep.equal(['unmap', 3 * R, R]);
    expect(offsets(rig)).to.deep.equal([0, 1, 2, 4, 5, 6, 7]);
  });

  it('takes a batch in any order, pairs over several ranges, and what is named twice', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    const pairs = [6 * R, R, R, 3 * R, 6 * R, R];
    expect(await rig.errno((r) => r.removemapping(nodeid, pairs))).to.equal(0);
    expect(offsets(rig)).to.deep.equal([0, 4, 5, 7]);
    expect(rig.sentMappings.filter(([kind]) => kind === 'unmap').length).to.equal(4);
  });

  it('closes the file with its last range', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    const mapped = descriptorsOf(rig.path('file'));
    expect(await rig.unmap(nodeid, 0, 1, 2, 3, 4, 5, 6)).to.equal(0);
    expect(descriptorsOf(rig.path('file'))).to.equal(mapped);
    expect(await rig.unmap(nodeid, 7)).to.equal(0);
    expect(descriptorsOf(rig.path('file'))).to.equal(mapped - 1);
  });

  it('is done at once where nothing stands', async () => {
    using rig = await Rig.mounted(ALWAYS);
    expect(await rig.unmap(5, 0, 1, 7)).to.equal(0);
    expect(await rig.errno((r) => r.removemapping(5, []))).to.equal(0);
    expect(rig.sentMappings).to.deep.equal([]);
  });

  it('refuses pairs that are off the grid, outside, too many, or cut a range; nothing is removed then', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    const bad: readonly number[][] = [
      [PAGE, R],
      [0, 0],
      [8 * R, R],
      [7 * R, 2 * R],
      [0, R, R, PAGE],
      [0, 5 * R, 3 * R, 5 * R],
      [R, 2 ** 52],
    ];
    for (const pairs of bad) {
      expect(await rig.errno((r) => r.removemapping(nodeid, pairs)), String(pairs)).to.equal(EINVAL);
    }
    expect(rig.mapped.length).to.equal(8);
  });

  it('takes a short range as it was set up', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(R));
    const nodeid = await rig.lookup('file');
    await rig.call((r) => r.setupmapping(nodeid, 0, 3 * PAGE, READ, R));
    expect(await rig.errno((r) => r.removemapping(nodeid, [R, 2 * PAGE]))).to.equal(EINVAL);
    expect(await rig.errno((r) => r.removemapping(nodeid, [R, 3 * PAGE]))).to.equal(0);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('removes all pieces of a range', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    await rig.map(nodeid, 0, 2);
    await rig.call((r) => r.setattr(nodeid, { size: 2 * PAGE }));
    expect(rig.mapped.length).to.equal(2);
    expect(await rig.unmap(nodeid, 2)).to.equal(0);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('waits for the mapping that it removes', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(R));
    const nodeid = await rig.lookup('file');
    rig.hold();
    const sent = [rig.sendMap(nodeid, 0, 0), rig.send((r) => r.removemapping(nodeid, [0, R]))];
    await rig.inFlight();
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.sentMappings.map(([kind]) => kind)).to.deep.equal(['map', 'unmap']);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('tells of a front-end that did not know the mapping, and forgets it all the same', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    rig.onRequest((kind, { shmOffset }) => (kind === 'unmap' && shmOffset === 2 * R ? -EIO : 0));
    expect(await rig.unmap(nodeid, 1, 2, 3)).to.equal(EIO);
    expect(offsets(rig)).to.deep.equal([0, 4, 5, 6, 7]);
    expect(await rig.map(nodeid, 2, 2)).to.equal(0);
  });

  it('bears a flood of requests for ranges under way', async () => {
    using rig = await Rig.mounted(ALWAYS, { host: { queueSize: 256 }, queueSize: 256 });
    const nodeid = await filled(rig);
    rig.hold();
    const all = Array.from({ length: 8 }, (_, slot) => [slot * R, R]).flat();
    const sent = Array.from({ length: 60 }, (_, index) =>
      index % 2 === 0
        ? rig.send((r) => r.removemapping(nodeid, all))
        : rig.send((r) => r.setupmapping(nodeid, 0, 8 * R, READ, 0)),
    );
    await rig.taken();
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.host.transport.sent.length).to.be.lessThan(1000);
  });

  it('is not needed before FORGET: mappings of an inode that is forgotten go', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    rig.hold();
    const late = rig.sendMap(nodeid, 7, 3);
    await rig.inFlight();
    rig.send((r) => r.forget(nodeid, 1), undefined, 0);
    await rig.taken();
    rig.release();
    await rig.reply(late);
    await rig.until(() => rig.mapped.length === 0);
    expect(rig.device.stats.daxInodes).to.equal(0);
    const again = await rig.lookup('file');
    expect(await rig.map(again, 0, 0)).to.equal(0);
  });

  it('leaves a place to another inode that a forgotten one waits for', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeids: number[] = [];
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(rig.path(name), Buffer.alloc(R));
      nodeids.push(await rig.lookup(name));
    }
    const [a, b, c] = nodeids as [number, number, number];
    await rig.map(a, 0, 0);
    rig.hold();
    rig.send((r) => r.removemapping(a, [0, R]));
    const [kept, late] = [rig.sendMap(b, 0, 0), rig.sendMap(c, 0, 0)];
    rig.send((r) => r.forget(c, 1));
    await rig.taken();
    rig.release();
    await rig.until(() => kept.reply !== null && late.reply !== null);
    expect([decode(kept).error, decode(late).error]).to.deep.equal([0, EBADF]);
    expect(rig.sentMappings.map(([kind]) => kind)).to.deep.equal(['map', 'unmap', 'map']);
  });

  it('does not take a file that cannot be looked at for a forgotten one', async () => {
    let errno = 0;
    using rig = await Rig.mounted(ALWAYS, {
      wrap: (fs) => {
        const mapInfo = fs.mapInfo.bind(fs);
        fs.mapInfo = (nodeid, out) => (errno < 0 ? errno : mapInfo(nodeid, out));
        return fs;
      },
    });
    const nodeid = await filled(rig);
    await rig.lookup('file');
    errno = -EMFILE;
    rig.send((r) => r.forget(nodeid, 1));
    await rig.call((r) => r.getattr(nodeid));
    expect(rig.mapped.length).to.equal(8);
  });

  it('goes on when only some lookups are forgotten', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeid = await filled(rig);
    await rig.lookup('file');
    rig.send((r) => r.forget(nodeid, 1), undefined, 0);
    await rig.call((r) => r.getattr(nodeid));
    expect(rig.mapped.length).to.equal(8);
  });
});
