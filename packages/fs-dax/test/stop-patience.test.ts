/** What a pause waits for requests that helper threads are at. */
import { PENDING } from '@oriel/fuse';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { replacing } from './support/replacing.ts';
import { ALWAYS, Rig, sys } from './support/rig.ts';

describe('the patience of a pause', () => {
  it('is spent once, by the queues that have requests under way', async () => {
    let nowNs = 0;
    const waits: number[] = [];
    const settle = (ms: number): void => {
      waits.push(ms);
      nowNs += Math.min(ms, 30) * 1e6;
    };
    // STATFS is never done.
    const wrap = <T extends object>(fs: T): T => replacing(fs, { statfs: () => PENDING, settle });
    const timed = mockSys({ loop: { nowNs: () => nowNs } }, sys);
    using rig = await Rig.mounted(ALWAYS, { wrap, sys: timed, numRequestQueues: 4 });

    for (const queue of [1, 3, 4]) rig.send((r) => r.statfs(1), undefined, queue);
    await rig.taken();
    rig.host.pause();
    expect(waits.splice(0)).to.deep.equal([40, 10, 0]);
    rig.host.start();
    rig.host.pause();
    expect(waits).to.deep.equal([]);

    rig.host.start();
    rig.send((r) => r.statfs(1), undefined, 2);
    await rig.taken();
    rig.host.pause();
    expect(waits).to.deep.equal([40]);
    rig.host.start();
  });
});
