/**
 * Soak `socket`: front-ends that send anything to a file system device on its socket. Each is answered, refused or thrown out;
 * nothing is thrown here; after each the next well-behaved one gets all it asks for; and when all have left no descriptor, no
 * mapping, no inode and no handle is left.
 */
import { BlockingLoop, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { profiles } from '@oriel/vhost-user';
import { same } from '../errors.ts';
import { holdings } from '../holdings.ts';
import type { SoakRun } from '../soak.ts';
import { FsServer } from './fs-server.ts';
import { behaveWell } from './honest-front-end.ts';
import { HostileFrontEnd } from './hostile-front-end.ts';

const CONNECTIONS = 4;
// The old virtio-fs dialect is spoken by our back-end alone: the honest front-end here could not answer it.
const PROFILES = Object.values(profiles)
  .filter(({ dialect }) => dialect === 'shmem')
  .map(({ name }) => name);

export const enough = 150;
export const wanted = [
  ...['apt', 'broken', 'request', 'mapping', 'scribble', 'kick', 'answer', 'bytes', 'reply', 'submitted', 'returned'],
  ...['thrown out', 'started', 'back request 9', 'back request 10', ...PROFILES],
];

export function open(): SoakRun {
  process.umask(0);
  const sys = openSys();
  const loop = new BlockingLoop(sys);
  const leaks = leakCheck();
  return {
    round(random, tally) {
      const name = random.pick(PROFILES);
      {
        using server = new FsServer(sys, loop, name);
        const atRest = holdings();
        for (let connection = 0; connection < CONNECTIONS; connection++) {
          {
            using hostile = new HostileFrontEnd(server, random, tally);
            hostile.run();
          }
          server.expectIdle();
          same('open and mapped after a hostile front-end', holdings(), atRest);
          behaveWell(server, random);
          same('open and mapped after an honest front-end', holdings(), atRest);
          tally.did(name);
        }
      }
      leaks.check();
    },
    async [Symbol.asyncDispose]() {
      loop[Symbol.dispose]();
    },
  };
}
