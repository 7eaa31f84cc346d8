import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { type Operation, PENDING } from '@oriel/fuse';
import { EIO, O_APPEND, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, decode, PAGE, Rig, withFile } from './support/rig.ts';

const R = DAX_RANGE;

describe('rings that stop', () => {
  it('get a mapping request on its way back, which is fetched again and answered once', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    rig.hold();
    const sent = rig.sendMap(nodeid, 1, 1);
    await rig.inFlight();
    rig.host.pause();
    await rig.turns(3);
    expect(sent.reply).to.equal(null);
    rig.host.start();
    rig.release();
    expect((await rig.reply(sent)).error).to.equal(0);
    expect(rig.sentMappings).to.deep.equal([['map', R, R]]);
    expect(rig.mapped).to.deep.equal([[R, R, R]]);
  });

  it('get back what waits behind it too, and nothing is mapped while they are stopped', async () => {
    const { rig: made, nodeid } = await withFile(6 * R);
    using rig = made;
    rig.hold();
    const sent = [0, 1, 2, 3].map((slot) => rig.sendMap(nodeid, slot, slot));
    await rig.inFlight();
    rig.host.pause();
    rig.release();
    await rig.answered();
    await rig.turns(3);
    expect(rig.sentMappings.length).to.equal(1);
    rig.host.start();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, 0, 0, 0]);
    expect(rig.mapped.length).to.equal(4);
  });

  it('do what they got back once', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    writeFileSync(rig.path('other'), Buffer.alloc(R));
    const other = await rig.lookup('other');
    rig.hold();
    const sent = [rig.sendMap(nodeid, 3, 3), rig.sendMap(nodeid, 0, 0), rig.sendMap(other, 0, 0)];
    await rig.taken();
    rig.host.pause();
    rig.release();
    await rig.answered();
    rig.host.start();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.sentMappings).to.deep.equal([
      ['map', 3 * R, R],
      ['map', 0, R],
      ['unmap', 0, R],
      ['map', 0, R],
    ]);
  });

  it('take a mapping request up again that cannot go back, and answer it once', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    rig.hold();
    const sent = rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    await rig.call((r) => r.statfs(1));
    rig.host.pause();
    rig.collect();
    expect(sent.reply).to.equal(null);
    rig.release();
    await rig.answered();
    rig.host.start();
    expect((await rig.reply(sent)).error).to.equal(0);
    expect(rig.sentMappings, 'its late answer counts').to.deep.equal([['map', 0, R]]);
  });

  it('take requests up again that cannot go back, over one pause after the other', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    expect(await rig.map(nodeid, 3, 3)).to.equal(0);
    rig.hold();
    const removed = rig.send((r) => r.removemapping(nodeid, [3 * R, R]));
    const sent = [removed, ...[0, 1, 2].map((slot) => rig.sendMap(nodeid, slot, slot))];
    await rig.inFlight();
    await rig.call((r) => r.statfs(1));
    for (let pause = 0; pause < 3; pause++) {
      rig.host.pause();
      rig.host.start();
      if (pause === 1) await rig.turns(2);
    }
    rig.collect();
    expect(sent.map(({ reply }) => reply)).to.deep.equal([null, null, null, null]);
    rig.release();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, 0, 0, 0]);
    expect(rig.mapped).to.deep.equal([0, 1, 2].map((slot) => [slot * R, R, slot * R]));
  });

  it('forget a request that could not go back when a new driver comes', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    rig.hold();
    const sent = rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    await rig.call((r) => r.statfs(1));
    rig.host.pause();
    rig.release();
    rig.host.reset();
    rig.host.start();
    await rig.mount(ALWAYS);
    expect(sent.reply).to.equal(null);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('answer a request that is done, keep the mappings before it, and get those behind it back', async () => {
    const { rig: made, nodeid } = await withFile(PAGE);
    using rig = made;
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    await rig.map(nodeid, 0, 0);
    writeFileSync(rig.path('big'), Buffer.alloc(4 * R));
    const big = await rig.lookup('big');
    rig.hold();
    const before = rig.sendMap(big, 0, 1);
    await rig.inFlight();
    const page = Buffer.alloc(PAGE, 'w');
    const wrote = rig.send((r) => r.write(nodeid, fh, PAGE, PAGE, O_RDWR | O_APPEND), page);
    const behind = rig.sendMap(big, 1, 2);
    await rig.taken();
    expect([before.reply, wrote.reply, behind.reply]).to.deep.equal([null, null, null]);
    rig.host.pause();
    rig.collect();
    expect([before.reply, decode(wrote).count, behind.reply]).to.deep.equal([null, PAGE, null]);
    rig.release();
    await rig.answered();
    rig.host.start();
    expect((await rig.reply(before)).error).to.equal(0);
    expect((await rig.reply(behind)).error).to.equal(0);
    expect(statSync(rig.path('file')).size, 'appended once').to.equal(2 * PAGE);
    await rig.until(() => rig.mapped.some(([offset, len]) => offset === PAGE && len === PAGE));
  });

  it('get requests back that are held for a growth', async () => {
    const { rig: made, nodeid } = await withFile(PAGE + 1, { dax: { tail: 'grow' } });
    using rig = made;
    rig.hold();
    const mapped = rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    const held = [1, 2, 3].map(() => rig.send((r) => r.getattr(nodeid)));
    await rig.taken();
    rig.host.pause();
    rig.release();
    await rig.answered();
    expect(statSync(rig.path('file')).size, 'the late answer ends the growth').to.equal(PAGE + 1);
    rig.host.start();
    await rig.until(() => [mapped, ...held].every(({ reply }) => reply !== null));
    expect(held.map((one) => decode(one).readAttributes().size)).to.deep.equal([PAGE + 1, PAGE + 1, PAGE + 1]);
    expect(decode(mapped).error).to.equal(0);
  });

  it('take a held request up again that cannot go back', async () => {
    const { rig: made, nodeid } = await withFile(PAGE + 1, { dax: { tail: 'grow' } });
    using rig = made;
    rig.hold();
    const mapped = rig.sendMap(nodeid, 0, 0);
    await rig.inFlight();
    const held = rig.send((r) => r.getattr(nodeid));
    await rig.call((r) => r.statfs(1));
    rig.host.pause();
    rig.collect();
    expect([mapped.reply, held.reply]).to.deep.equal([null, null]);
    rig.release();
    await rig.answered();
    rig.host.start();
    expect((await rig.reply(held)).readAttributes().size).to.equal(PAGE + 1);
    expect((await rig.reply(mapped)).error).to.equal(0);
  });

  it('map what an answer at the stop has told of when they start', async () => {
    const { rig: made, nodeid } = await withFile(PAGE);
    using rig = made;
    await rig.map(nodeid, 0, 0);
    writeFileSync(rig.path('big'), Buffer.alloc(R));
    const big = await rig.lookup('big');
    rig.hold();
    rig.sendMap(big, 0, 1);
    await rig.inFlight(); // so that the next one waits for its turn, and is cancelled
    truncateSync(rig.path('file'), 3 * PAGE);
    const asked = rig.send((r) => r.getattr(nodeid));
    await rig.taken();
    expect(asked.reply).to.equal(null);
    rig.host.pause();
    rig.collect();
    expect(decode(asked).readAttributes().size).to.equal(3 * PAGE);
    rig.release();
    await rig.answered();
    expect(rig.mapped).to.deep.equal([
      [0, PAGE, 0],
      [R, R, 0],
    ]);
    rig.host.start();
    await rig.until(() => rig.mapped.length === 3);
    expect(rig.mapped[1]).to.deep.equal([PAGE, 2 * PAGE, PAGE]);
  });

  it('answer DESTROY and INIT that wait for mappings to go, which go when they start', async () => {
    for (const end of ['destroy', 'init'] as const) {
      const { rig: made, nodeid } = await withFile(3 * R);
      using rig = made;
      for (const slot of [0, 1, 2]) await rig.map(nodeid, slot, slot);
      rig.hold();
      const sent = rig.send((r) => (end === 'init' ? r.init(ALWAYS) : r.destroy()));
      await rig.inFlight();
      const late = rig.send((r) => r.statfs(1)); // answered with EIO: the first cannot go back
      expect((await rig.reply(late)).error).to.equal(EIO);
      rig.host.pause();
      rig.collect();
      expect(decode(sent).error).to.equal(0);
      rig.release();
      await rig.answered();
      rig.host.start();
      await rig.until(() => rig.mapped.length === 0);
      if (end === 'destroy') await rig.mount(ALWAYS);
      const again = await rig.lookup('file');
      expect(await rig.map(again, 2, 2)).to.equal(0);
    }
  });

  it('wait for helper threads, whose requests get their answer', async () => {
    await using rig = await Rig.mounted(ALWAYS, { helper: true });
    writeFileSync(rig.path('file'), Buffer.alloc(PAGE));
    const nodeid = await rig.lookup('file');
    const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
    const sent = [1, 2, 3].map(() => rig.send((r) => r.fallocate(nodeid, fh, 0, 2 * PAGE)));
    await rig.taken();
    rig.host.pause();
    rig.collect();
    expect(sent.map((one) => decode(one).error)).to.deep.equal([0, 0, 0]);
    expect(statSync(rig.path('file')).size).to.equal(2 * PAGE);
  });

  it('answer what a Filesystem has not ended with EIO', async () => {
    const late: Operation[] = [];
    using rig = await Rig.mounted(ALWAYS, {
      wrap: (fs) => {
        fs.statfs = (op) => {
          late.push(op);
          return PENDING;
        };
        return fs;
      },
    });
    const sent = rig.send((r) => r.statfs(1));
    await rig.until(() => late.length === 1);
    rig.host.pause();
    rig.collect();
    expect(decode(sent).error).to.equal(EIO);
    late[0]!.complete(0);
    rig.host.start();
    expect((await rig.call((r) => r.getattr(1))).error).to.equal(0);
  });
});
