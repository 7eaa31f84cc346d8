#!/usr/bin/env node
/** The `oriel` program: standard output is for data only, everything else goes to standard error. */
import { openSys } from '@oriel/sys';
import { CliError } from './cli/cli-error.ts';
import { ControlError } from './device-module.ts';
import { explain } from './explain.ts';
import { isLaunched, launchSelf } from './launcher/launch-self.ts';
import { openLog } from './logging.ts';
import { readArguments } from './program.ts';
import { runCtl } from './run-ctl.ts';
import { runDevices } from './run-devices.ts';
import { runTorture } from './run-torture.ts';
import { enterSandbox } from './sandbox/enter.ts';
import { readMark } from './sandbox/mark.ts';

const FAILURE = 1;
const BAD_USAGE = 2;

try {
  const request = readArguments(process.argv.slice(2));
  if (request.kind === 'print') {
    process.stdout.write(request.text);
  } else if (request.kind === 'ctl') {
    await runCtl(request, process.stdout);
  } else if (request.kind === 'torture') {
    process.exitCode = await runTorture(request, process.stdout, (line) =>
      process.stderr.write(`oriel torture: ${line}\n`),
    );
  } else {
    const log = openLog(request.log);
    const first = !isLaunched() && readMark() === null;
    for (const warning of first ? request.warnings : []) {
      log.warn(warning);
    }
    const again = request.workers.some(({ restart }) => restart === 'on-failure');
    if (again && !isLaunched()) {
      process.exitCode = await launchSelf(log);
    } else {
      // Below the launcher, so that what it holds outlives the sandbox, and each start has a new one.
      const door = request.sandbox === null ? null : enterSandbox(openSys(), request.sandbox, log);
      process.exitCode = await runDevices(request, log, door);
    }
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
