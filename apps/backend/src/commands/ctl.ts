/** `oriel ctl`: talks to a running program. */
import { resolve } from 'node:path';
import type { OutputSize } from '@oriel/gpu-blob';
import { CliError } from '../cli/cli-error.ts';
import { ctlOptions } from '../cli/ctl-options.ts';
import { parseOutput } from '../cli/output-size.ts';
import { parseWords } from '../cli/parse-options.ts';
import type { ControlRequest } from '../device-module.ts';

/** For the help. */
export const ctlSummary = 'ask a running program, or change it';

/** A request to a running program. */
export interface ControlCall {
  readonly socketPath: string;
  readonly request: ControlRequest;
  /** Where the picture of a screenshot goes; undefined: entries are printed. */
  readonly file: string | undefined;
}

interface CtlCommand {
  /** As the help shows its words. */
  readonly words: string;
  readonly help: string;
  /** Fewest and most words behind the name. */
  readonly least: number;
  readonly most: number;
}

/** All commands, for the help. */
export const ctlCommands: Readonly<Record<string, CtlCommand>> = {
  devices: { words: 'devices', help: 'the devices of the program', least: 0, most: 0 },
  stats: { words: 'stats', help: 'the counters of all devices, or of one', least: 0, most: 0 },
  handover: {
    words: 'handover',
    help: 'the program is started anew, perhaps as another version, and goes on with its front-ends',
    least: 0,
    most: 0,
  },
  outputs: {
    words: 'outputs [WxH|off[,..]]',
    help: 'the displays; with sizes: changes them from the first one on',
    least: 0,
    most: 1,
  },
  screenshot: {
    words: 'screenshot FILE',
    help: "a picture of a display, as PNG; '-' is standard output",
    least: 1,
    most: 1,
  },
  blobs: {
    words: 'blobs',
    help: 'blobs of host memory, with a path under which a process of this user can open each',
    least: 0,
    most: 0,
  },
};

/** What the running program understands of a size; null: nothing plugged in. */
function plain({ width, height, enabled }: OutputSize): object | null {
  return enabled === false ? null : { width, height };
}

/** From arguments to a call. @throws CliError in one line that says what to change */
export function planCtl(args: readonly string[]): ControlCall {
  const { values, given, words } = parseWords(ctlOptions, args);
  const [name = '', ...rest] = words;
  const command = Object.hasOwn(ctlCommands, name) ? ctlCommands[name]! : null;
  if (values.socket === undefined) {
    throw new CliError('--socket is missing: give --socket PATH, the --control-socket of the running program');
  }
  if (command === null) {
    const found = name === '' ? 'no command' : `unknown command '${name}'`;
    throw new CliError(`${found}: give one of ${Object.keys(ctlCommands).join(', ')}, or --help`);
  }
  if (rest.length < command.least || rest.length > command.most) {
    throw new CliError(`${name}: ${rest.length} words behind it: write ${command.words}`);
  }
  const stray = ['scanout', 'cursor'].find((option) => given.has(option) && name !== 'screenshot');
  if (stray !== undefined) {
    throw new CliError(`--${stray} is for screenshot: leave it out`);
  }
  const device = values.device === undefined ? {} : { device: values.device };
  const [word] = rest;
  const socketPath = resolve(values.socket);
  if (name === 'screenshot') {
    const { scanout, cursor } = values;
    return { socketPath, request: { command: name, ...device, scanout: scanout ?? 0, cursor }, file: word! };
  }
  const outputs = word === undefined ? {} : { outputs: word.split(',').map((one) => plain(parseOutput(name, one))) };
  return { socketPath, request: { command: name, ...device, ...outputs }, file: undefined };
}
