/** A device that is killed with a window in use, and the next one. */
import { appendFileSync, truncateSync } from 'node:fs';
import type { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { EACCES } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { replacing } from './support/replacing.ts';
import { PAGE, READ, type Rig, type RigOptions, withFile } from './support/rig.ts';

const SHARE = { limits: { maxInodes: 1000, maxHandles: 100, maxDirStreams: 10 } };
const SURVIVES: RigOptions = { survive: true, share: SHARE, host: { survive: true } };

const survivor = (size: number, more: RigOptions = {}): Promise<{ rig: Rig; nodeid: number }> =>
  withFile(size, { ...SURVIVES, ...more });

describe('a window whose device is killed', () => {
  it('is taken up as it is, without a message, and goes on', async () => {
    const { rig, nodeid } = await survivor(3 * DAX_RANGE);
    using _rig = rig;
    expect(await rig.map(nodeid, 0, 2)).to.equal(0);
    expect(await rig.map(nodeid, 2, 5)).to.equal(0);
    const before = rig.mapped;
    const sent = rig.sentMappings.length;
    rig.killed();
    expect(await rig.errno((r) => r.getattr(nodeid))).to.equal(0);
    expect(rig.mapped).to.deep.equal(before);
    expect(rig.sentMappings.length, 'nothing is sent').to.equal(sent);
    expect(rig.device.stats.daxInodes).to.equal(1);
    // The same range again needs nothing; others are mapped and unmapped as ever.
    expect(await rig.map(nodeid, 0, 2)).to.equal(0);
    expect(await rig.map(nodeid, 1, 3)).to.equal(0);
    expect(await rig.unmap(nodeid, 2, 3, 5)).to.equal(0);
    expect(rig.sentMappings.slice(sent)).to.deep.equal([
      ['map', 3 * DAX_RANGE, DAX_RANGE],
      ['unmap', 2 * DAX_RANGE, DAX_RANGE],
      ['unmap', 3 * DAX_RANGE, DAX_RANGE],
      ['unmap', 5 * DAX_RANGE, DAX_RANGE],
    ]);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('unmaps each piece of a range as it was mapped', async () => {
    const { rig, nodeid } = await survivor(10 * PAGE);
    using _rig = rig;
    expect(await rig.map(nodeid, 0, 1)).to.equal(0);
    appendFileSync(rig.path('file'), Buffer.alloc(5 * PAGE, 'm'));
    expect((await rig.call((r) => r.getattr(nodeid))).readAttributes().size).to.equal(15 * PAGE);
    expect(rig.mapped).to.deep.equal([
      [DAX_RANGE, 10 * PAGE, 0],
      [DAX_RANGE + 10 * PAGE, 5 * PAGE, 10 * PAGE],
    ]);
    rig.killed();
    const sent = rig.sentMappings.length;
    expect(await rig.unmap(nodeid, 1)).to.equal(0);
    expect(rig.sentMappings.slice(sent)).to.deep.equal([
      ['unmap', DAX_RANGE, 10 * PAGE],
      ['unmap', DAX_RANGE + 10 * PAGE, 5 * PAGE],
    ]);
  });

  it('asks for a mapping again that was under way, and unmaps first what may be there', async () => {
    const { rig, nodeid } = await survivor(DAX_RANGE);
    using _rig = rig;
    rig.hold();
    const setup = rig.sendMap(nodeid, 0, 4);
    await rig.inFlight();
    rig.killed();
    rig.release();
    expect((await rig.reply(setup)).error).to.equal(0);
    expect(rig.sentMappings).to.deep.equal([
      ['map', 4 * DAX_RANGE, DAX_RANGE],
      ['unmap', 4 * DAX_RANGE, DAX_RANGE],
      ['map', 4 * DAX_RANGE, DAX_RANGE],
    ]);
    expect(rig.mapped).to.deep.equal([[4 * DAX_RANGE, DAX_RANGE, 0]]);
  });

  it('is empty for a new driver', async () => {
    const { rig, nodeid } = await survivor(DAX_RANGE);
    using _rig = rig;
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    rig.killed();
    rig.host.reset();
    rig.host.start();
    await rig.mount({ flagsHi: 0x5fd });
    expect(rig.mapped).to.deep.equal([]);
    const again = await rig.lookup('file');
    expect(await rig.map(again, 0, 0)).to.equal(0);
    expect(await rig.errno((r) => r.setupmapping(again, 0, DAX_RANGE, READ, DAX_RANGE))).to.equal(0);
  });

  for (const opcode of ['destroy', 'init'] as const) {
    it(`is empty after a kill in the middle of ${opcode.toUpperCase()}, and of use to the next mount`, async () => {
      const { rig, nodeid } = await survivor(2 * DAX_RANGE);
      using _rig = rig;
      expect(await rig.map(nodeid, 0, 1)).to.equal(0);
      expect(await rig.map(nodeid, 1, 2)).to.equal(0);
      rig.hold();
      const ending = rig.send((r) => r[opcode]());
      await rig.inFlight();
      rig.killed();
      rig.release();
      await rig.reply(ending);
      await rig.mount({ flagsHi: 0x5fd });
      expect(rig.mapped).to.deep.equal([]);
      const again = await rig.lookup('file');
      expect(await rig.map(again, 0, 1)).to.equal(0);
      expect(await rig.map(again, 1, 5)).to.equal(0);
      expect(rig.mapped).to.deep.equal([
        [DAX_RANGE, DAX_RANGE, 0],
        [5 * DAX_RANGE, DAX_RANGE, DAX_RANGE],
      ]);
    });
  }

  it('goes on with a file that was cut meanwhile', async () => {
    const { rig, nodeid } = await survivor(2 * DAX_RANGE);
    using _rig = rig;
    expect(await rig.map(nodeid, 0, 0)).to.equal(0);
    expect(await rig.map(nodeid, 1, 1)).to.equal(0);
    truncateSync(rig.path('file'), PAGE);
    rig.killed();
    expect((await rig.call((r) => r.getattr(nodeid))).readAttributes().size).to.equal(PAGE);
    expect(await rig.unmap(nodeid, 0, 1)).to.equal(0);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('leaves the pages of a file that cannot be opened any more, until the guest uses their range for another', async () => {
    let gone = false;
    const wrap = (fs: PassthroughFilesystem): PassthroughFilesystem =>
      replacing(fs, { openForMapping: (nodeid: number) => (gone ? -EACCES : fs.openForMapping(nodeid)) });
    const { rig, nodeid } = await survivor(10 * PAGE, { wrap });
    using _rig = rig;
    expect(await rig.map(nodeid, 0, 1)).to.equal(0);
    appendFileSync(rig.path('file'), Buffer.alloc(5 * PAGE, 'm'));
    expect(await rig.errno((r) => r.getattr(nodeid))).to.equal(0);
    gone = true;
    rig.killed();
    rig.killed();
    gone = false;
    const sent = rig.sentMappings.length;
    expect(await rig.map(nodeid, 0, 2)).to.equal(0);
    expect(await rig.map(nodeid, 0, 1)).to.equal(0);
    expect(rig.sentMappings.slice(sent)).to.deep.equal([
      ['map', 2 * DAX_RANGE, 15 * PAGE],
      ['unmap', DAX_RANGE, 10 * PAGE],
      ['unmap', DAX_RANGE + 10 * PAGE, 5 * PAGE],
      ['map', DAX_RANGE, 15 * PAGE],
    ]);
  });

  it('keeps no journal where private copies would be lost', async () => {
    const { rig } = await survivor(DAX_RANGE, { dax: { tail: 'copy' } });
    using _rig = rig;
    expect(rig.device.stateBytes).to.equal(undefined);
    expect(rig.lines.some((line) => line.includes('no journal'))).to.equal(true);
  });
});
