#!/usr/bin/env node
/** `oriel-wayland`: standard output is the command's, everything of ours goes to standard error. */
import { NodeLoop, openSys } from '@oriel/sys';
import { DrmChannel } from './channel/drm-channel.ts';
import { checkDevice } from './check-device.ts';
import { HELP, type Options, readOptions, socketPath } from './cli/options.ts';
import { runCommand } from './command.ts';
import { ProxyError } from './errors.ts';
import { openLog } from './log.ts';
import { Server } from './server.ts';

const FAILURE = 1;
const BAD_USAGE = 2;

/** Until a signal asks for the end. */
function stopSignal(): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve(0));
  });
}

async function serve({ socket, renderNode, logLevel, command }: Options): Promise<number> {
  const path = socketPath(socket, process.env);
  // The host names contexts of the GPU after the program.
  process.title = 'oriel-wayland';
  const log = openLog(logLevel);
  const sys = openSys();
  checkDevice(sys, renderNode);
  using loop = new NodeLoop(sys);
  using _server = new Server(
    { sys, loop, log, openChannel: (handler) => new DrmChannel({ sys, loop, renderNode }, handler) },
    path,
  );
  loop.run();
  log.info('listening', { socket: path });
  const status = await (command.length > 0 ? runCommand(command, socket) : stopSignal());
  loop.stop();
  return status;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(HELP);
  else process.exitCode = await serve(options);
} catch (error) {
  if (!(error instanceof ProxyError)) throw error;
  process.stderr.write(`oriel-wayland: ${error.message}\n`);
  process.exitCode = error.code === 'ERR_PROXY_USAGE' ? BAD_USAGE : FAILURE;
}
