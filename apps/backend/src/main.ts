#!/usr/bin/env node
/** The `oriel` program: standard output is for data only, everything else goes to standard error. */
import { CliError } from './cli/cli-error.ts';
import { openLog } from './logging.ts';
import { readArguments } from './program.ts';
import { runDevice } from './run-device.ts';

const BAD_USAGE = 2;

try {
  const request = readArguments(process.argv.slice(2));
  if (request.kind === 'print') {
    process.stdout.write(request.text);
  } else {
    const log = openLog(request.worker.log);
    for (const warning of request.warnings) {
      log.warn(warning);
    }
    process.exitCode = await runDevice(request.worker, log);
  }
} catch (error) {
  if (!(error instanceof CliError)) {
    throw error;
  }
  process.stderr.write(`oriel: ${error.message}\n`);
  process.exitCode = BAD_USAGE;
}
