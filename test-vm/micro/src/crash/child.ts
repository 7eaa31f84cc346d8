/**
 * One side of a connection in a process of its own, to be killed. argv: `back-end` or `front-end`, and the path of the
 * socket on which the other side listens. Prints a line when its part is done, then serves until the end.
 */
import { writeSync } from 'node:fs';
import { BlockingLoop, check, Fd, MFD_CLOEXEC, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { BackSide } from '../sides/back-side.ts';
import { FrontSide } from '../sides/front-side.ts';

/** What the back-end maps, in pages of the region. */
const RANGES = 3;
export const CRASH_REGION_PAGES = 16;

const [side, path] = process.argv.slice(2) as ['back-end' | 'front-end', string];
const sys = openSys();
const { pageSize } = sys.mem;
const loop = new BlockingLoop(sys);
const socket = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connect'));
const common = { sys, loop, profile: profileFor('strict', pageSize), size: CRASH_REGION_PAGES * pageSize };

if (side === 'front-end') {
  const front = new FrontSide({ ...common, unmapped: 'fault' });
  front.connect(socket);
  writeSync(1, 'ready\n');
} else {
  const file = new Fd(sys.fd, check(sys.mem.memfdCreate('crash', MFD_CLOEXEC), 'memfd_create'));
  check(sys.file.ftruncate(file.fd, pageSize), 'ftruncate');
  let left = RANGES;
  const back = new BackSide({
    ...common,
    onResumed: () => {
      for (let index = 0; index < RANGES; index += 1) {
        const place = { fd: file.fd, fdOffset: 0, shmOffset: 2 * index * pageSize, len: pageSize, writable: true };
        back.region.map({ ...place, owner: file, label: 'crash' }, (error) => {
          check(error, 'map');
          left -= 1;
          if (left === 0) {
            writeSync(1, 'mapped\n');
          }
        });
      }
    },
  });
  back.connect(socket);
}
loop.run();
