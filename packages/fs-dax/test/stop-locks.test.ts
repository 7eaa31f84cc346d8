/** A pause while a lock is waited for, with other requests in flight before and behind it. */
import { writeFileSync } from 'node:fs';
import { FUSE_SETLK, FUSE_SETLKW, PENDING } from '@oriel/fuse';
import { EIO, F_UNLCK, F_WRLCK, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { replacing } from './support/replacing.ts';
import { ALWAYS, Rig } from './support/rig.ts';

const ALICE = 1;
const BOB = 2;

describe('a pause while locks are waited for', () => {
  for (const behind of [false, true]) {
    it(`asks for them again${behind ? ', where another request came behind, too' : ''}, and ends the rest`, async () => {
      // A Filesystem that works with timers: STATFS is never done.
      const wrap = <T extends object>(fs: T): T => replacing(fs, { statfs: () => PENDING });
      const timer = (delayMs: number, call: () => void): Disposable => rig.loop.timer(delayMs, call);
      using rig = await Rig.mounted(ALWAYS, { wrap, share: { posixLocks: true, timer } });
      writeFileSync(rig.path('file'), 'content');
      const nodeid = await rig.lookup('file');
      const { fh } = await rig.call((r) => r.open(nodeid, O_RDWR));
      expect(await rig.errno((r) => r.lock(FUSE_SETLK, nodeid, fh, ALICE, F_WRLCK, [0]))).to.equal(0);
      const first = rig.send((r) => r.statfs(1));
      const waiting = [0, 1].map(() => rig.send((r) => r.lock(FUSE_SETLKW, nodeid, fh, BOB, F_WRLCK, [0])));
      const last = behind ? rig.send((r) => r.statfs(1)) : first;
      await rig.taken();
      rig.host.pause();
      rig.host.start();
      expect((await rig.reply(first)).error).to.equal(EIO);
      expect((await rig.reply(last)).error).to.equal(EIO);
      await rig.turns(3);
      expect(waiting.map(({ reply }) => reply)).to.deep.equal([null, null]);
      expect(await rig.errno((r) => r.lock(FUSE_SETLK, nodeid, fh, ALICE, F_UNLCK, [0]))).to.equal(0);
      for (const one of waiting) expect((await rig.reply(one)).error).to.equal(0);
    });
  }
});
