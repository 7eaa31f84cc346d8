/**
 * A program of its own: waits beside a process in its mount namespace, and pivots when it is told. So the process itself never
 * has the right to mount anything, in none of its threads. It ends at once when nobody is there to tell it.
 */
import { readSync, writeSync } from 'node:fs';
import { openSys } from '@oriel/sys';
import { explain } from '../explain.ts';
import { type MountTree, pivot } from './mount-tree.ts';
import { outliveSignals } from './outlive-signals.ts';

outliveSignals();
const tree = JSON.parse(process.argv[2]!) as MountTree;
const { sandbox } = openSys();
if (readSync(0, Buffer.alloc(1)) === 1) {
  try {
    pivot(sandbox, tree);
  } catch (error) {
    writeSync(2, `oriel: --sandbox=namespace: ${explain(error)}\n`);
    process.exitCode = 1;
  }
}
