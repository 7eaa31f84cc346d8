/**
 * Soak `gpu`: a guest that sends whole, broken and random commands to a virtio-gpu device in a loopback VM, a hundred at a
 * time, over pauses, resets, crashes and front-ends that refuse. Each command is answered, as a book of the rules says; the
 * device's resources, contexts and mappings, the front-end's window and the host's objects are what the book says; the
 * budgets hold; and nothing is left behind.
 */
import { BlockingLoop, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { must, SoakError, same } from '../errors.ts';
import { holdings } from '../holdings.ts';
import type { SoakRun } from '../soak.ts';
import { GpuRound, STEP_NAMES } from './gpu-round.ts';
import { GpuServer } from './gpu-server.ts';
import { COMMAND_NAMES } from './rules.ts';

const PROFILES = ['qemu', 'strict', 'crosvm'] as const;
/** Node, its heap and the rings; the device's own budget is 8 MiB. */
const MOST_RSS = 700 << 20;

export const enough = 12;
export const wanted = [
  ...COMMAND_NAMES,
  ...STEP_NAMES,
  ...PROFILES,
  ...['unknown', 'cursor', 'pause in flight', 'reset in flight', 'crash in flight', 'many mapped', 'stamped'],
];

export function open(): SoakRun {
  process.umask(0);
  const sys = openSys();
  const loop = new BlockingLoop(sys);
  const leaks = leakCheck();
  return {
    round(random, tally) {
      const profile = random.pick(PROFILES);
      tally.saw(profile);
      {
        using server = new GpuServer(sys, loop, profile);
        const atRest = holdings();
        try {
          using round = new GpuRound(server, random, tally);
          round.run();
        } catch (error) {
          const code = error instanceof SoakError ? error.code : 'ERR_SOAK_MISMATCH';
          throw new SoakError(code, `${String(error)}\n${server.warnings.join('\n')}`, { cause: error });
        }
        server.expectIdle();
        same('open and mapped after a hostile guest', holdings(), atRest);
      }
      leaks.check();
      const { rss } = process.memoryUsage();
      must(rss < MOST_RSS, `${rss} bytes of memory`);
    },
    async [Symbol.asyncDispose]() {
      loop[Symbol.dispose]();
    },
  };
}
