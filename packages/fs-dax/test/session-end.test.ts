import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { EIO } from '@oriel/sys';
import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, decode, descriptorsOf, MIB, PAGE, READ, type RigOptions, withFile } from './support/rig.ts';

const R = DAX_RANGE;
/** A front-end that keeps mappings over a reset. */
const KEEPS = { ...profiles.crosvm.limits, maxMappings: 8 };

describe('a session that ends', () => {
  for (const end of ['destroy', 'init'] as const) {
    it(`drops every mapping at ${end.toUpperCase()} before it is answered`, async () => {
      const { rig: made, nodeid } = await withFile(3 * R);
      using rig = made;
      for (const slot of [0, 1, 2]) await rig.map(nodeid, slot, slot);
      rig.hold();
      const sent = rig.send((r) => (end === 'init' ? r.init(ALWAYS) : r.destroy()));
      await rig.inFlight();
      expect(sent.reply).to.equal(null);
      rig.release();
      expect((await rig.reply(sent)).error).to.equal(0);
      expect(rig.mapped).to.deep.equal([]);
      expect(rig.device.stats.daxInodes).to.equal(0);
    });
  }

  it('leaves nothing of a mapping request that waits for a place', async () => {
    const { rig: made, nodeid } = await withFile(3 * R);
    using rig = made;
    writeFileSync(rig.path('other'), Buffer.alloc(R));
    const other = await rig.lookup('other');
    await rig.map(nodeid, 0, 0);
    rig.hold();
    const waits = rig.sendMap(other, 0, 0);
    await rig.inFlight();
    const ended = rig.send((r) => r.destroy());
    await rig.taken();
    rig.release();
    await rig.until(() => waits.reply !== null && ended.reply !== null);
    expect([decode(waits).error, decode(ended).error]).to.deep.equal([EIO, 0]);
    expect(rig.mapped).to.deep.equal([]);
    await rig.turns(5);
    expect(rig.sentMappings.map(([kind]) => kind)).to.deep.equal(['map', 'unmap']);
  });

  it('ends in the middle of a growth, and the file is as it was', async () => {
    const { rig: made, nodeid } = await withFile(PAGE + 1, { dax: { tail: 'grow' } });
    using rig = made;
    rig.hold();
    const mapping = rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    const held = rig.send((r) => r.getattr(nodeid));
    const ended = rig.send((r) => r.destroy());
    await rig.taken();
    rig.release();
    await rig.until(() => [mapping, held, ended].every(({ reply }) => reply !== null));
    expect([decode(mapping).error, decode(held).error, decode(ended).error]).to.deep.equal([EIO, EIO, 0]);
    expect(statSync(rig.path('file')).size).to.equal(PAGE + 1);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('is reset in the middle of everything, and the next one finds nothing of it', async () => {
    for (const options of [{ dax: { tail: 'grow' } }, { dax: { tail: 'copy' } }, {}] as RigOptions[]) {
      const { rig: made, nodeid } = await withFile(PAGE + 1, options);
      using rig = made;
      writeFileSync(rig.path('big'), Buffer.alloc(8 * R));
      const big = await rig.lookup('big');
      await rig.map(big, 0, 0);
      rig.hold();
      rig.send((r) => r.setupmapping(big, 0, 6 * R, READ, R));
      rig.sendMap(nodeid, 0, 7);
      rig.send((r) => r.getattr(nodeid));
      rig.send((r) => r.removemapping(big, [0, R]));
      await rig.inFlight();
      await rig.taken();
      rig.host.reset();
      expect(statSync(rig.path('file')).size).to.equal(PAGE + 1);
      rig.release();
      rig.host.start();
      await rig.answered();
      expect([rig.mapped, rig.device.stats.daxInodes]).to.deep.equal([[], 0]);
      await rig.mount(ALWAYS);
      const again = await rig.lookup('big');
      expect(await rig.errno((r) => r.setupmapping(again, 0, 8 * R, READ, 0))).to.equal(0);
    }
  });

  it('is reset where the front-end keeps mappings: they are unmapped, also one on its way', async () => {
    const { rig: made, nodeid } = await withFile(8 * R, { host: { limits: KEEPS }, windowSize: 16 * MIB });
    using rig = made;
    await rig.map(nodeid, 0, 0);
    rig.hold();
    rig.sendMap(nodeid, 1, 1);
    await rig.inFlight();
    rig.host.pause();
    rig.device.reset();
    rig.host.start();
    rig.release();
    await rig.until(() => rig.mapped.length === 0);
    expect(rig.sentMappings.filter(([kind]) => kind === 'unmap').length).to.equal(2);
    expect(rig.device.stats.daxInodes).to.equal(0);
  });

  it('keeps what it lent to a request on its way until the answer', async () => {
    const { rig: made, nodeid } = await withFile(PAGE + 1, { dax: { tail: 'copy' } });
    using rig = made;
    rig.hold();
    rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    rig.host.pause();
    rig.device.reset();
    expect(descriptorsOf('oriel-dax-copy'), 'ours, and that of the front-end').to.equal(2);
    rig.release();
    await rig.answered();
    expect(descriptorsOf('oriel-dax-copy')).to.equal(1);
  });

  it('loses its front-end in the middle of everything', async () => {
    const { rig: made, nodeid } = await withFile(PAGE + 1, { dax: { tail: 'grow' } });
    using rig = made;
    rig.hold();
    rig.sendMap(nodeid, 0, 0);
    rig.sendMap(nodeid, 0, 1);
    await rig.inFlight();
    rig.send((r) => r.getattr(nodeid));
    await rig.taken();
    rig.host.detach();
    expect(readFileSync(rig.path('file')).length).to.equal(PAGE + 1);
    rig.host.attach();
    rig.release();
    rig.host.start();
    await rig.mount(ALWAYS);
    expect(await rig.map(await rig.lookup('file'), 0, 0)).to.equal(0);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });

  it('keeps a file that another process resized while the front-end was away', async () => {
    const { rig: made, nodeid } = await withFile(PAGE + 1, { dax: { tail: 'grow' } });
    using rig = made;
    rig.hold();
    rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    appendFileSync(rig.path('file'), 'x');
    rig.host.detach();
    expect(statSync(rig.path('file')).size).to.equal(R + 1);
  });
});
