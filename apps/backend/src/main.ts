#!/usr/bin/env node
/** The `oriel` program: standard output is for data only, everything else goes to standard error. */
import { CliError } from './cli/cli-error.ts';
import { ControlError } from './device-module.ts';
import { explain } from './explain.ts';
import { openLog } from './logging.ts';
import { readArguments } from './program.ts';
import { runCtl } from './run-ctl.ts';
import { runDevices } from './run-devices.ts';

const FAILURE = 1;
const BAD_USAGE = 2;

try {
  const request = readArguments(process.argv.slice(2));
  if (request.kind === 'print') {
    process.stdout.write(request.text);
  } else if (request.kind === 'ctl') {
    await runCtl(request, process.stdout);
  } else {
    const log = openLog(request.log);
    for (const warning of request.warnings) {
      log.warn(warning);
    }
    process.exitCode = await runDevices(request, log);
  }
} catch (error) {
  if (error instanceof CliError) {
    process.stderr.write(`oriel: ${error.message}\n`);
    process.exitCode = BAD_USAGE;
  } else if (error instanceof ControlError) {
    process.stderr.write(`oriel ctl: ${explain(error)}\n`);
    process.exitCode = FAILURE;
  } else {
    throw error;
  }
}
