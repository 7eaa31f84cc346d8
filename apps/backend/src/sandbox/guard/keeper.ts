/** A program of its own: keeps the guard of one process's mapped files, until that process ends. */
import { writeSync } from 'node:fs';
import { BlockingLoop, openSys } from '@oriel/sys';
import { explain } from '../../explain.ts';
import { outliveSignals } from '../outlive-signals.ts';
import { KEEPER_ENDS } from './guard-ends.ts';
import { GuardKeeper } from './guard-keeper.ts';

const sys = openSys();
outliveSignals();
try {
  using loop = new BlockingLoop(sys);
  using _keeper = new GuardKeeper(sys, loop, Number(process.argv[2]), KEEPER_ENDS);
  loop.run();
} catch (error) {
  writeSync(2, `oriel: the guard of mapped files: ${explain(error)}\n`);
  process.exitCode = 1;
}
