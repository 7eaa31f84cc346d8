/** `oriel torture`: a hostile driver and a hostile front-end for any back-end. */
import { resolve } from 'node:path';
import { CliError } from '../cli/cli-error.ts';
import { parseOptions } from '../cli/parse-options.ts';
import { tortureOptions } from '../cli/torture-options.ts';

/** For the help. */
export const tortureSummary = 'break every rule at a back-end, and see what it does';

/** What is tortured, and how. */
export interface TortureCall {
  /** Where the back-end listens; undefined: a socket is made up for `command`. */
  readonly socketPath: string | undefined;
  /** Starts the back-end; undefined: it runs. */
  readonly command: string | undefined;
  readonly device: (typeof tortureOptions)['device']['fallback'];
  readonly clause: string | undefined;
  readonly timeoutMs: number;
  readonly format: 'table' | 'json';
  readonly work: 'run' | 'list';
}

/** From arguments to a call. @throws CliError in one line that says what to change */
export function planTorture(args: readonly string[]): TortureCall {
  const { values } = parseOptions(tortureOptions, args);
  const { command, device, clause, timeout } = values;
  const socketPath = values['socket-path'];
  if (!values.list) {
    if (socketPath === undefined && command === undefined) {
      throw new CliError('--socket-path is missing: give the socket of the back-end, or --command to start one');
    }
    if (command !== undefined && socketPath === undefined && !command.includes('{socket}')) {
      throw new CliError('--command has no {socket} in it: write it where the path belongs, or give --socket-path');
    }
  }
  return {
    socketPath: socketPath === undefined ? undefined : resolve(socketPath),
    command,
    device,
    clause,
    timeoutMs: timeout,
    format: values.json ? 'json' : 'table',
    work: values.list ? 'list' : 'run',
  };
}
