import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { EBADF, EINVAL, EIO, EOPNOTSUPP } from '@oriel/sys';
import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import { DAX_RANGE, type FsDaxError } from '../src/index.ts';
import { ALWAYS, descriptorsOf, MIB, NEVER, PAGE, READ, Rig, WRITE } from './support/rig.ts';

const [R, SLOTS] = [DAX_RANGE, 8];

describe('SETUPMAPPING', () => {
  it('maps a range of a file, writable whatever the guest asks for, and answers when the front-end did', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(3 * R));
    const nodeid = await rig.lookup('file');
    rig.hold();
    const sent = rig.sendMap(nodeid, 2, 5);
    await rig.inFlight();
    expect(sent.reply).to.equal(null);
    rig.release();
    expect((await rig.reply(sent)).error).to.equal(0);
    expect(rig.host.transport.sent).to.deep.equal([
      { kind: 'map', request: { shmid: 0, fdOffset: 2 * R, shmOffset: 5 * R, len: R, writable: true } },
    ]);
  });

  it('is done at once where the same range stands: an upgrade, or a second time', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(2 * R));
    const nodeid = await rig.lookup('file');
    for (const flags of [READ, WRITE, READ]) expect(await rig.map(nodeid, 1, 0, flags)).to.equal(0);
    expect(rig.sentMappings).to.deep.equal([['map', 0, R]]);
  });

  it('takes what stood there away first', async () => {
    using rig = await Rig.mounted(ALWAYS);
    for (const name of ['one', 'two']) writeFileSync(rig.path(name), Buffer.alloc(2 * R));
    const [one, two] = [await rig.lookup('one'), await rig.lookup('two')];
    await rig.map(one, 0, 3);
    expect(await rig.map(two, 1, 3)).to.equal(0);
    expect(await rig.map(two, 0, 3)).to.equal(0);
    const at = 3 * R;
    expect(rig.sentMappings.map(([kind, offset]) => [kind, offset])).to.deep.equal(
      ['map', 'unmap', 'map', 'unmap', 'map'].map((kind) => [kind, at]),
    );
    expect(rig.mapped).to.deep.equal([[at, R, 0]]);
  });

  it('takes requests for one place one after the other', async () => {
    using rig = await Rig.mounted(ALWAYS);
    const nodeids: number[] = [];
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(rig.path(name), Buffer.alloc(R));
      nodeids.push(await rig.lookup(name));
    }
    rig.hold();
    const sent = nodeids.map((nodeid) => rig.sendMap(nodeid, 0, 1));
    await rig.inFlight();
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.mapped.length).to.equal(1);
    expect(rig.sentMappings.map(([kind]) => kind)).to.deep.equal(['map', 'unmap', 'map', 'unmap', 'map']);
  });

  it('may span several ranges', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(3 * R));
    const nodeid = await rig.lookup('file');
    expect(await rig.errno((r) => r.setupmapping(nodeid, 0, 2 * R + 2 * PAGE, READ, R))).to.equal(0);
    expect(rig.mapped).to.deep.equal([
      [R, R, 0],
      [2 * R, R, R],
      [3 * R, 2 * PAGE, 2 * R],
    ]);
  });

  it('stops at the first of several ranges that is refused', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(4 * R));
    const nodeid = await rig.lookup('file');
    rig.onRequest((_kind, { shmOffset }) => (shmOffset === R ? -EIO : 0));
    expect(await rig.errno((r) => r.setupmapping(nodeid, 0, 4 * R, READ, 0))).to.equal(EIO);
    expect(rig.sentMappings).to.deep.equal([
      ['map', 0, R],
      ['map', R, R],
    ]);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });

  it('refuses what does not fit the window or its grid, and asks nobody', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(2 * R));
    const nodeid = await rig.lookup('file');
    const bad: readonly [number, number, number][] = [
      [0, R, SLOTS * R],
      [0, 2 * R, (SLOTS - 1) * R],
      [0, (SLOTS + 1) * R, 0],
      [PAGE, R, 0],
      [0, R, PAGE],
      [0, R + 1, 0],
      [0, 0, 0],
      [0, 2 ** 52, 0],
      [2 ** 52, R, 2 ** 52],
    ];
    for (const [foffset, len, moffset] of bad) {
      expect(await rig.errno((r) => r.setupmapping(nodeid, foffset, len, READ, moffset)), `${foffset} ${len}`).to.equal(
        EINVAL,
      );
    }
    expect(rig.sentMappings).to.deep.equal([]);
  });

  it('refuses a range behind the end of the file, and an empty file', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(R));
    writeFileSync(rig.path('empty'), '');
    expect(await rig.map(await rig.lookup('file'), 1, 0)).to.equal(EIO);
    expect(await rig.map(await rig.lookup('empty'), 0, 0)).to.equal(EIO);
    expect(rig.sentMappings).to.deep.equal([]);
  });

  it('refuses what is no file of the guest, and keeps nothing of numbers that it invents', async () => {
    using rig = await Rig.mounted(ALWAYS);
    for (let nodeid = 1000; nodeid < 1050; nodeid++) expect(await rig.map(nodeid, 0, 0)).to.equal(EBADF);
    expect(await rig.map(1, 0, 0)).to.equal(EOPNOTSUPP);
    expect(rig.device.stats.daxInodes).to.equal(0);
  });

  it('refuses when the guest mounted without DAX, or the share cannot be written', async () => {
    {
      using rig = await Rig.mounted(NEVER);
      writeFileSync(rig.path('file'), Buffer.alloc(R));
      expect(await rig.map(await rig.lookup('file'), 0, 0)).to.equal(EOPNOTSUPP);
    }
    using rig = await Rig.mounted(ALWAYS, { share: { readonly: true } });
    writeFileSync(rig.path('file'), Buffer.alloc(R));
    expect(await rig.map(await rig.lookup('file'), 0, 0)).to.equal(EOPNOTSUPP);
  });

  it('leaves no trace when the front-end refuses', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(R));
    const nodeid = await rig.lookup('file');
    rig.onRequest(() => -EIO);
    const open = descriptorsOf(rig.path('file'));
    expect(await rig.map(nodeid, 0, 0)).to.equal(EIO);
    expect(descriptorsOf(rig.path('file')) - open, 'one that the front-end got').to.equal(1);
    rig.onRequest(() => 0);
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
  });

  it('is told EIO, not an errno of ours, where the back channel is gone', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('file'), Buffer.alloc(R));
    const nodeid = await rig.lookup('file');
    rig.host.transport.ready = false;
    expect(await rig.map(nodeid, 0, 0)).to.equal(EIO);
    rig.host.transport.ready = true;
  });

  it('plans anew when the file changes its size before the request is sent', async () => {
    using rig = await Rig.mounted(ALWAYS);
    for (const name of ['file', 'other']) writeFileSync(rig.path(name), Buffer.alloc(R));
    const [file, other] = [await rig.lookup('file'), await rig.lookup('other')];
    rig.hold();
    const sent = [rig.sendMap(other, 0, 0), rig.sendMap(file, 0, 1)];
    await rig.inFlight();
    truncateSync(rig.path('file'), 5 * PAGE); // planned with R bytes, waits for the other's answer
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.mapped).to.deep.equal([
      [0, R, 0],
      [R, 5 * PAGE, 0],
    ]);
  });

  it('reaches as far as the guest was told while the answer was on its way, and no further', async () => {
    for (const plus of [false, true]) {
      using rig = await Rig.mounted(ALWAYS);
      writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
      const nodeid = await rig.lookup('file');
      const { fh } = await rig.call((r) => r.opendir(1));
      rig.hold();
      const sent = rig.sendMap(nodeid, 0, 0);
      await rig.inFlight();
      truncateSync(rig.path('file'), 3 * PAGE);
      if (plus) {
        const records = (await rig.call((r) => r.readdirplus(1, fh, 0, 0, 4096))).readRecords();
        expect(records.find(({ entry }) => entry?.nodeid === nodeid)!.entry!.attr.size).to.equal(3 * PAGE);
      } else expect((await rig.call((r) => r.getattr(nodeid))).readAttributes().size).to.equal(3 * PAGE);
      truncateSync(rig.path('file'), 2 * R);
      rig.release();
      expect((await rig.reply(sent)).error).to.equal(0);
      expect(rig.sentMappings.map(([, offset]) => offset)).to.deep.equal([0, PAGE]);
    }
  });

  it('needs one piece for a file that the host goes on appending to', async () => {
    using rig = await Rig.mounted(ALWAYS);
    writeFileSync(rig.path('log'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('log');
    rig.onRequest(() => {
      appendFileSync(rig.path('log'), Buffer.alloc(PAGE));
      return 0;
    });
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(rig.mapped).to.deep.equal([[0, PAGE, 0]]);
  });

  it('never exceeds the budget, whatever files do; a window that could is refused at the start', async () => {
    const limits = { ...profiles.strict.limits, maxMappings: 3 * SLOTS };
    {
      using rig = await Rig.mounted(ALWAYS, { host: { limits } });
      const nodeids: number[] = [];
      for (let slot = 0; slot < SLOTS; slot++) {
        writeFileSync(rig.path(`file${slot}`), Buffer.alloc(PAGE));
        nodeids.push(await rig.lookup(`file${slot}`));
        expect(await rig.map(nodeids[slot]!, 0, slot)).to.equal(0);
      }
      for (const pages of [2, 3, 4, 5]) {
        for (let slot = 0; slot < SLOTS; slot++) {
          const size = pages * PAGE + (pages === 5 ? 1 : 0);
          expect(await rig.errno((r) => r.setattr(nodeids[slot]!, { size }))).to.equal(0);
        }
      }
      expect(rig.mapped.length).to.equal(3 * SLOTS);
      expect(rig.host.region(0).stats.refused).to.equal(0);
    }
    let code = '';
    const rig = { host: { limits: { ...limits, maxMappings: 3 * SLOTS - 1 } } };
    try {
      new Rig(rig);
    } catch (error) {
      code = (error as FsDaxError).code;
    }
    expect(code).to.equal('ERR_FSDAX_WINDOW');
  });

  it('maps ranges whole where the front-end lets them end behind the file', async () => {
    using rig = await Rig.mounted(ALWAYS, {
      host: { limits: { ...profiles.crosvm.limits, maxMappings: SLOTS } },
      windowSize: 16 * MIB,
    });
    writeFileSync(rig.path('file'), Buffer.alloc(1000));
    expect(await rig.map(await rig.lookup('file'), 0, 0)).to.equal(0);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });
});
