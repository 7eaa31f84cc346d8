#!/usr/bin/env node
/** `npm run bench`: starts itself again with the flags that the sources need, where they are missing. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS } from './node-flags.ts';

const FAILURE = 1;
const args = process.argv.slice(2);

if (!NODE_FLAGS.every((flag) => process.execArgv.includes(flag))) {
  const command = [...NODE_FLAGS, fileURLToPath(import.meta.url), ...args];
  process.exitCode = spawnSync(process.execPath, command, { stdio: 'inherit' }).status ?? FAILURE;
} else {
  const { bench } = await import('./bench.ts');
  const { readOptions, USAGE } = await import('./options.ts');
  try {
    const options = readOptions(args);
    if (options === null) process.stdout.write(USAGE);
    else await bench(options);
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = FAILURE;
  }
}
