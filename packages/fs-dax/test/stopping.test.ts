import { writeFileSync } from 'node:fs';
import { EIO } from '@oriel/sys';
import type { DeviceQueue } from '@oriel/virtqueue';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { ALWAYS, withFile } from './support/rig.ts';

const R = DAX_RANGE;

describe('rings of which some run and others do not', () => {
  it('keep a mapping request that came while others of them were stopped already', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    // A front-end stops ring after ring; from the first on nothing may be sent.
    rig.device.stopQueue(0);
    rig.host.region(0).suspend();
    const sent = rig.sendMap(nodeid, 0, 0);
    await rig.turns(3);
    expect(sent.reply).to.equal(null);
    rig.host.region(0).resume();
    rig.host.pause();
    rig.host.start();
    expect((await rig.reply(sent)).error).to.equal(0);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });

  it('do a request that came while others were stopped when those start again', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    const queues: DeviceQueue[] = [];
    const start = rig.device.startQueue.bind(rig.device);
    rig.device.startQueue = (index, queue, fresh) => {
      queues[index] = queue;
      start(index, queue, fresh);
    };
    rig.host.pause();
    rig.host.start();
    rig.device.stopQueue(0);
    rig.host.region(0).suspend();
    const sent = rig.sendMap(nodeid, 2, 0);
    await rig.turns(3);
    expect(sent.reply).to.equal(null);
    rig.host.region(0).resume();
    start(0, queues[0]!, false);
    expect((await rig.reply(sent)).error).to.equal(0);
  });

  it('do not keep a request when all that the driver uses run: the back channel is gone then', async () => {
    const { rig: made, nodeid } = await withFile(4 * R, { numRequestQueues: 3 });
    using rig = made;
    rig.host.pause();
    rig.device.reset();
    const start = rig.device.startQueue.bind(rig.device);
    rig.device.startQueue = (index, queue, fresh) => {
      if (index < 2) start(index, queue, fresh);
    };
    rig.host.start();
    await rig.mount(ALWAYS);
    expect(nodeid).to.be.greaterThan(1);
    const again = await rig.lookup('file');
    rig.host.transport.ready = false;
    expect(await rig.map(again, 0, 0)).to.equal(EIO);
    rig.host.transport.ready = true;
  });

  it('get a request back that was kept since nothing may be sent, and do it once', async () => {
    const { rig: made, nodeid } = await withFile(4 * R);
    using rig = made;
    writeFileSync(rig.path('other'), Buffer.alloc(R));
    const other = await rig.lookup('other');
    rig.device.stopQueue(0);
    rig.host.region(0).suspend();
    const sent = [rig.sendMap(nodeid, 0, 0), rig.sendMap(other, 0, 0)];
    await rig.taken();
    rig.host.region(0).resume();
    rig.host.pause();
    rig.host.start();
    await rig.until(() => sent.every(({ reply }) => reply !== null));
    expect(rig.sentMappings.map(([kind]) => kind)).to.deep.equal(['map', 'unmap', 'map']);
  });
});
