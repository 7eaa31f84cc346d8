/** What the program does with its arguments, up to the start of a device. */
import { CliError } from './cli/cli-error.ts';
import { optionsHelp } from './cli/help.ts';
import type { Command, CommandPlan } from './commands/command.ts';
import { fsCommand } from './commands/fs.ts';

const commands: Readonly<Record<string, Command>> = { fs: fsCommand };

/** What the arguments ask for: text to print, or a device to run. */
export type Request = { readonly kind: 'print'; readonly text: string } | ({ readonly kind: 'run' } & CommandPlan);

function usage(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  oriel ${name} OPTIONS   ${summary}\n`);
  return `Devices for virtual machines, over vhost-user.\n\n${lines.join('')}\nEach has --help.\n`;
}

/**
 * Reads the arguments after the program's name. `--print-capabilities` wins over everything else, as QEMU wants it.
 * @throws CliError in one line that says what to change
 */
export function readArguments(args: readonly string[]): Request {
  const [name = '', ...rest] = args;
  if (name === '--help' || name === '-h') {
    return { kind: 'print', text: usage() };
  }
  const command = Object.hasOwn(commands, name) ? commands[name]! : null;
  if (args.includes('--print-capabilities')) {
    return { kind: 'print', text: `${JSON.stringify((command ?? fsCommand).capabilities)}\n` };
  }
  if (command === null) {
    const found = name === '' ? 'no device named' : `unknown device '${name}'`;
    throw new CliError(`${found}: give one of ${Object.keys(commands).join(', ')}, or --help`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    return { kind: 'print', text: `oriel ${name}: ${command.summary}\n\n${optionsHelp(command.options)}` };
  }
  return { kind: 'run', ...command.plan(rest, { name }) };
}
