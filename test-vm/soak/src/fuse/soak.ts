/**
 * Soak `fuse`: every request there is, good and broken, through a `FuseSession` over a `PassthroughFilesystem` on a real
 * directory. Nothing is thrown, each reply is exact, nothing outside of the share changes, lookup counts and handles return to
 * none, no descriptor is left, and the thread keeps its identity.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { BlockingLoop, openOffload, openSys, SYS } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { SoakError, same } from '../errors.ts';
import type { SoakRun } from '../soak.ts';
import { ShareBesideSentinel } from './outside.ts';
import { REQUEST_NAMES } from './requests.ts';
import { MessagePool, SessionDriver } from './session-driver.ts';

const STEPS = 400;
const TIGHT = { maxInodes: 12, maxHandles: 4, maxDirStreams: 2, maxPending: 2 };

export const enough = 100;
export const wanted = [...REQUEST_NAMES, 'mutated', 'succeeded', 'refused', 'reset', 'init', 'counted', 'tight'];

export function open(): SoakRun {
  process.umask(0);
  const sys = openSys();
  const loop = new BlockingLoop(sys);
  const offload = openOffload(sys, loop);
  // The helper starts with its first call, and keeps descriptors of its own from then on.
  offload.submit(SYS.gettid, [], () => {});
  offload.drain();
  const pool = new MessagePool(sys);
  // Memory answers at once; a disk may make helper threads wait.
  const places = [tmpdir(), ...(existsSync('/dev/shm') ? ['/dev/shm'] : [])];
  const leaks = leakCheck();
  return {
    round(random, tally) {
      using directory = new ShareBesideSentinel(random.pick(places));
      const tight = random.once(4);
      const counted = random.once(3);
      {
        using fs = new PassthroughFilesystem({
          sys,
          sharedDir: directory.shareDir,
          xattr: !random.once(4),
          readonly: random.once(12),
          daxKeepCache: random.once(2),
          cache: random.pick(['auto', 'always', 'metadata', 'never']),
          ...(random.once(2) ? { offload } : {}),
          ...(tight ? { limits: TIGHT } : {}),
        });
        using driver = new SessionDriver({ sys, loop, offload, fs, random, tally }, pool);
        const nothingHeld = (): void => {
          const { inodes, handles, pending } = fs.stats;
          same('inodes, handles and calls', `${inodes} ${handles} ${pending}`, '1 0 0');
        };
        driver.init();
        for (let step = 0; step < STEPS; step++) {
          if (random.once(150)) {
            tally.did('init');
            driver.init();
          } else if (random.once(200)) {
            tally.did('reset');
            driver.reset();
            nothingHeld();
            driver.init();
          } else {
            driver.sendSome(!counted);
            if (!driver.session.initialised) driver.init();
          }
        }
        if (counted) {
          tally.saw('counted');
          driver.giveAllBack();
        } else {
          driver.destroy();
        }
        nothingHeld();
        if (tight) tally.saw('tight');
      }
      const { damage } = directory;
      if (damage !== '') throw new SoakError('ERR_SOAK_MISMATCH', `something outside of the share changed\n${damage}`);
      leaks.check();
    },
    async [Symbol.asyncDispose]() {
      pool[Symbol.dispose]();
      offload[Symbol.dispose]();
      loop[Symbol.dispose]();
    },
  };
}
