/** The command line. */
import { parseArgs } from 'node:util';
import { ProxyError } from '../errors.ts';
import { type LogLevel, logLevels } from '../log.ts';

export interface Options {
  /** Name in XDG_RUNTIME_DIR, or an absolute path. */
  readonly socket: string;
  readonly renderNode: string;
  readonly logLevel: LogLevel;
  readonly help: boolean;
  /** What to run with the socket; empty: nothing. */
  readonly command: readonly string[];
}

export const HELP = `usage: oriel-wayland [OPTIONS] [-- COMMAND...]

Makes a Wayland socket in a guest whose clients show their windows on the host's compositor. With a COMMAND it runs that with
WAYLAND_DISPLAY set, and ends with it and its status.

  --socket NAME        name in XDG_RUNTIME_DIR, or an absolute path (default wayland-0)
  --render-node PATH   the guest's GPU (default /dev/dri/renderD128)
  --log-level LEVEL    ${logLevels.join('|')} (default info)
  --help               print this help, and exit
`;

function usage(detail: string): ProxyError {
  return new ProxyError('ERR_PROXY_USAGE', detail);
}

/** What node:util says of a wrong option. */
function parse(args: readonly string[]) {
  const options = {
    socket: { type: 'string', default: 'wayland-0' },
    'render-node': { type: 'string', default: '/dev/dri/renderD128' },
    'log-level': { type: 'string', default: 'info' },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw usage((error as Error).message);
  }
}

/** Reads the command line. @throws ProxyError ERR_PROXY_USAGE */
export function readOptions(args: readonly string[]): Options {
  const dashes = args.indexOf('--');
  const own = dashes < 0 ? args : args.slice(0, dashes);
  const command = dashes < 0 ? [] : args.slice(dashes + 1);
  if (dashes >= 0 && command.length === 0) throw usage('give a command behind --, or leave it out');
  const values = parse(own);
  const logLevel = logLevels.find((level) => level === values['log-level']);
  if (logLevel === undefined) throw usage(`--log-level=${values['log-level']}: give one of ${logLevels.join(', ')}`);
  if (values.socket === '' || values['render-node'] === '') throw usage('an option has an empty value');
  return { socket: values.socket, renderNode: values['render-node'], logLevel, help: values.help, command };
}

/** Where the socket is. @throws ProxyError ERR_PROXY_USAGE */
export function socketPath(socket: string, env: NodeJS.ProcessEnv): string {
  if (socket.startsWith('/')) return socket;
  const dir = env['XDG_RUNTIME_DIR'];
  if (dir === undefined || !dir.startsWith('/')) {
    throw usage('XDG_RUNTIME_DIR is not set: set it to a folder of this user alone, or give --socket an absolute path');
  }
  return `${dir}/${socket}`;
}
