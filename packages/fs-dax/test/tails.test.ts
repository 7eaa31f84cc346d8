import { appendFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { EOPNOTSUPP, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, decode, INODE, PAGE, Rig } from './support/rig.ts';

const R = DAX_RANGE;

describe("the tail mode 'refuse'", () => {
  it('maps whole pages, and more behind them when the host adds some, once', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(2 * PAGE));
    const nodeid = await rig.lookup('file');
    await rig.map(nodeid, 0, 3);
    rig.hold();
    truncateSync(rig.path('file'), 5 * PAGE);
    const asked = rig.send((r) => r.getattr(nodeid));
    await rig.inFlight();
    expect(asked.reply, 'kept until the guest can reach it').to.equal(null);
    rig.release();
    expect((await rig.reply(asked)).readAttributes().size).to.equal(5 * PAGE);
    truncateSync(rig.path('file'), 7 * PAGE);
    expect(await rig.errno((r) => r.lookup(1, 'file'))).to.equal(EOPNOTSUPP);
    truncateSync(rig.path('file'), R);
    expect(await rig.errno((r) => r.lookup(1, 'file')), 'the last piece goes to the end of the range').to.equal(0);
    expect(rig.mapped).to.deep.equal([
      [3 * R, 2 * PAGE, 0],
      [3 * R + 2 * PAGE, 3 * PAGE, 2 * PAGE],
      [3 * R + 5 * PAGE, R - 5 * PAGE, 5 * PAGE],
    ]);
  });

  it('refuses a range whose file ends in a part of a page, and says so', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('odd'), Buffer.alloc(R + PAGE + 1));
    const nodeid = await rig.lookup('odd');
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    for (let i = 0; i < 9; i++) expect(await rig.map(nodeid, 1, 1)).to.equal(EOPNOTSUPP);
    expect(rig.lines.filter((line) => line.includes('--dax-tail')).length, 'rarely: 1, 2, 4, 8').to.equal(4);
    expect(rig.mapped.length).to.equal(1);
  });

  it('does not take a file that the guest only opened for one that it changed', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('odd'), Buffer.alloc(PAGE + 1));
    const nodeid = await rig.lookup('odd');
    expect(await rig.map(nodeid, 0, 0)).to.equal(EOPNOTSUPP);
    await rig.call((r) => r.open(nodeid, O_RDWR));
    await rig.call((r) => r.create(1, 'odd', O_RDWR, 0o644));
    expect(await rig.map(nodeid, 0, 0)).to.equal(EOPNOTSUPP);
  });

  it('does not tell of bytes that the host appended and that cannot be reached', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    await rig.map(nodeid, 0, 0);
    appendFileSync(rig.path('file'), 'x');
    expect(await rig.errno((r) => r.getattr(nodeid))).to.equal(EOPNOTSUPP);
    expect(await rig.errno((r) => r.lookup(1, 'file'))).to.equal(EOPNOTSUPP);
    const { fh } = await rig.call((r) => r.opendir(1));
    const [record] = (await rig.call((r) => r.readdirplus(1, fh, 0, 0, 4096)))
      .readRecords()
      .filter(({ name }) => Buffer.from(name).toString() === 'file');
    expect(record!.entry?.nodeid ?? 0, 'given without attributes').to.equal(0);
    expect(rig.mapped.length).to.equal(1);
  });

  it('does not count a lookup that it did not tell of', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    await rig.map(nodeid, 0, 0);
    appendFileSync(rig.path('file'), 'x');
    for (let i = 0; i < 3; i++) await rig.call((r) => r.lookup(1, 'file'));
    expect(await rig.unmap(nodeid, 0)).to.equal(0);
    rig.send((r) => r.forget(nodeid, 1), undefined, 0);
    await rig.call((r) => r.getattr(1));
    expect(rig.fs.stats.inodes).to.equal(1);
  });

  it('grows a file for a moment when the guest itself gave it such a size', async () => {
    for (const mode of [ALWAYS, INODE]) {
      using rig = await Rig.mounted(mode);
      writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
      const nodeid = await rig.lookup('file');
      const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
      await rig.map(nodeid, 0, 0);
      rig.hold();
      const wrote = rig.send((r) => r.write(nodeid, fh, PAGE, 3), Buffer.from('odd'));
      await rig.inFlight();
      expect([wrote.reply, statSync(rig.path('file')).size]).to.deep.equal([null, R]);
      rig.release();
      expect((await rig.reply(wrote)).count).to.equal(3);
      expect(statSync(rig.path('file')).size).to.equal(PAGE + 3);
      expect(rig.mapped).to.deep.equal([
        [0, PAGE, 0],
        [PAGE, R - PAGE, PAGE],
      ]);
    }
  });

  it('knows a file that the guest wrote before it was mapped', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const { fh } = await rig.call((r) => r.create(1, 'new', O_RDWR, 0o644));
    const nodeid = await rig.lookup('new');
    await rig.call((r) => r.write(nodeid, fh, 0, 3), Buffer.from('odd'));
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(statSync(rig.path('new')).size).to.equal(3);
  });

  it('extends every range of the file before the guest learns of its size', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    for (let slot = 0; slot < 8; slot++) expect(await rig.map(nodeid, 0, slot)).to.equal(0);
    truncateSync(rig.path('file'), 2 * PAGE);
    rig.hold();
    const asked = [1, 2, 3].map(() => rig.send((r) => r.getattr(nodeid)));
    await rig.inFlight();
    rig.release();
    await rig.until(() => asked.every(({ reply }) => reply !== null));
    expect(asked.map((one) => decode(one).readAttributes().size)).to.deep.equal([2 * PAGE, 2 * PAGE, 2 * PAGE]);
    expect(rig.mapped.length).to.equal(16);
  });

  it('asks nothing for a file whose ranges lie behind its end', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(R + PAGE));
    const nodeid = await rig.lookup('file');
    await rig.map(nodeid, 1, 0);
    await rig.call((r) => r.setattr(nodeid, { size: PAGE }));
    expect((await rig.call((r) => r.getattr(nodeid))).readAttributes().size).to.equal(PAGE);
    expect(rig.sentMappings.length).to.equal(1);
  });

  it('lets READ, FLUSH and RELEASE of a file go that cannot be reached to its end', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    await rig.map(nodeid, 0, 0);
    appendFileSync(rig.path('file'), 'x');
    expect((await rig.call((r) => r.read(nodeid, fh, 0, 10))).data.length).to.equal(10);
    expect(await rig.errno((r) => r.flush(nodeid, fh))).to.equal(0);
    expect(await rig.errno((r) => r.release(nodeid, fh))).to.equal(0);
    expect(rig.fs.stats.handles).to.equal(0);
  });
});
