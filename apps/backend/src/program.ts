/** What the program does with its arguments, up to the start of anything. */
import { readFileSync } from 'node:fs';
import { CliError } from './cli/cli-error.ts';
import { ctlOptions } from './cli/ctl-options.ts';
import { optionsHelp } from './cli/help.ts';
import { runOptions } from './cli/run-options.ts';
import { tortureOptions } from './cli/torture-options.ts';
import { type ControlCall, ctlCommands, ctlSummary, planCtl } from './commands/ctl.ts';
import { deviceCommand, devices } from './commands/device-commands.ts';
import { fsCommand } from './commands/fs.ts';
import { planRun, type RunCommandPlan, runSummary } from './commands/run.ts';
import { planTorture, type TortureCall, tortureSummary } from './commands/torture.ts';

/** What the arguments ask for: text to print, devices to serve, a word with a running program, or a hard time for one. */
export type Request =
  | { readonly kind: 'print'; readonly text: string }
  | ({ readonly kind: 'run' } & RunCommandPlan)
  | ({ readonly kind: 'ctl' } & ControlCall)
  | ({ readonly kind: 'torture' } & TortureCall);

const EXAMPLE = `oriel run --control-socket C --device fs,socket-path=S1,shared-dir=D,tag=T --device gpu,socket-path=S2`;

/** Of this package; its file lies beside `src`, and beside what `src` is built to. */
function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

function usage(): string {
  const summaries = Object.fromEntries(Object.entries(devices).map(([name, { summary }]) => [name, summary]));
  const all = Object.entries({ ...summaries, run: runSummary, ctl: ctlSummary, torture: tortureSummary });
  const lines = all.map(([name, summary]) => `  ${`oriel ${name} OPTIONS`.padEnd(24)}${summary}\n`);
  return `Devices for virtual machines, over vhost-user.\n\n${lines.join('')}\nEach has --help.\n`;
}

function help(name: string): string | null {
  const device = deviceCommand(name);
  if (device !== null) {
    return `oriel ${name}: ${device.summary}\n\n${optionsHelp(device.options)}`;
  }
  if (name === 'run') {
    const own = 'A device has the options of its own command, and id=NAME; a flag may be KEY=on or KEY=off.';
    return `oriel run: ${runSummary}\n\n  ${EXAMPLE}\n\n${own}\n\n${optionsHelp(runOptions)}`;
  }
  if (name === 'ctl') {
    const commands = Object.values(ctlCommands).map(({ words, help }) => `  ${words.padEnd(24)}    ${help}\n`);
    return `oriel ctl: ${ctlSummary}\n\n  oriel ctl --socket PATH COMMAND\n\n${commands.join('')}\n${optionsHelp(ctlOptions)}`;
  }
  if (name === 'torture') {
    return `oriel torture: ${tortureSummary}\n\n  oriel torture --socket-path PATH\n\n${optionsHelp(tortureOptions)}`;
  }
  return null;
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
  const device = deviceCommand(name);
  if (args.includes('--print-capabilities')) {
    return {
      kind: 'print',
      text: `${JSON.stringify((device ?? fsCommand).capabilities(device === null ? args : rest))}\n`,
    };
  }
  if (args.includes('--version') || args.includes('-V')) {
    return { kind: 'print', text: `oriel ${version()}\n` };
  }
  const helpText = help(name);
  if (helpText === null) {
    const found = name === '' ? 'no device named' : `unknown device '${name}'`;
    throw new CliError(
      `${found}: give one of ${[...Object.keys(devices), 'run', 'ctl', 'torture'].join(', ')}, or --help`,
    );
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    return { kind: 'print', text: helpText };
  }
  if (name === 'torture') {
    return { kind: 'torture', ...planTorture(rest) };
  }
  if (device !== null) {
    const { worker, controlSocket, warnings, sandbox = null } = device.plan(rest, { name });
    return { kind: 'run', workers: [worker], controlSocket, log: worker.log, warnings, sandbox };
  }
  return name === 'run' ? { kind: 'run', ...planRun(rest) } : { kind: 'ctl', ...planCtl(rest) };
}
