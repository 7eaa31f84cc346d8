/** `oriel`, the back-end under test: the real program, from the sources of this checkout. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSys } from '@oriel/sys';
import { canGuard, canSandbox } from '@oriel/sys/testing';
import { exec } from './exec.ts';
import { HostProcess } from './process.ts';

/** What to serve; `args` are more options of `oriel fs`. */
export interface OrielFsOptions {
  readonly socketPath: string;
  readonly sharedDir: string;
  /** Default `share`. */
  readonly tag?: string;
  /** As on the command line; '0' for no window. */
  readonly window?: string;
  readonly args?: readonly string[];
  /** Default: where the socket is. */
  readonly stateDir?: string;
  /** Default `info`. */
  readonly logLevel?: 'info' | 'debug' | 'trace';
}

/** A GPU to serve; `args` are more options of `oriel gpu`. */
export interface OrielGpuOptions {
  readonly socketPath: string;
  /** Size of the window, as on the command line; '0' for none. Default: the program's own. */
  readonly hostVisible?: string;
  /** As on the command line; default: the program's own. */
  readonly outputs?: string;
  /** Where the pictures of the displays go. */
  readonly screenshotDir?: string;
  /** For {@link orielCtl}. */
  readonly controlSocket?: string;
  readonly args?: readonly string[];
  /** Default `info`. */
  readonly logLevel?: 'info' | 'debug' | 'trace';
}

const MAIN = fileURLToPath(new URL('../../../apps/backend/src/main.ts', import.meta.url));
const ORIEL = [process.execPath, '--conditions=@oriel/source', '--disable-warning=ExperimentalWarning', MAIN];

/**
 * Starts `oriel` with a subcommand and waits until it listens.
 * @param sockets - how many of them it listens on
 * @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT
 */
export function startOriel(args: readonly string[], sockets = 1): Promise<HostProcess> {
  const ready = new RegExp('listening[^]*'.repeat(sockets));
  return HostProcess.startUntil(ready, [...ORIEL, ...args], { name: `oriel ${args[0]}` });
}

/** The tests run without root too: then nobody is guarded, and nobody truncates. */
function guardArgs({ sharedDir, args = [] }: OrielFsOptions): string[] {
  const chosen = args.some((arg) => arg.startsWith('--dax-guard') || arg === '--dax-unguarded');
  return chosen || canGuard(openSys(), sharedDir) ? [] : ['--dax-unguarded'];
}

/** So they do in containers, where nobody may make namespaces. */
function sandboxArgs({ args = [] }: OrielFsOptions): string[] {
  return args.some((arg) => arg.startsWith('--sandbox')) || canSandbox() ? [] : ['--sandbox=none'];
}

/** Starts `oriel fs`. It serves one front-end after another. @throws GuestError as {@link startOriel} */
export function startOrielFs(options: OrielFsOptions): Promise<HostProcess> {
  return startOriel([
    'fs',
    `--socket-path=${options.socketPath}`,
    `--shared-dir=${options.sharedDir}`,
    `--tag=${options.tag ?? 'share'}`,
    `--state-dir=${options.stateDir ?? dirname(options.socketPath)}`,
    ...(options.window === undefined ? [] : [`--window=${options.window}`]),
    `--log-level=${options.logLevel ?? 'info'}`,
    ...guardArgs(options),
    ...sandboxArgs(options),
    ...(options.args ?? []),
  ]);
}

/** Starts `oriel gpu`. It serves one front-end after another. @throws GuestError as {@link startOriel} */
export function startOrielGpu(options: OrielGpuOptions): Promise<HostProcess> {
  const { hostVisible, outputs, screenshotDir, controlSocket } = options;
  return startOriel([
    'gpu',
    `--socket-path=${options.socketPath}`,
    ...(hostVisible === undefined ? [] : [`--host-visible=${hostVisible}`]),
    ...(outputs === undefined ? [] : [`--outputs=${outputs}`]),
    ...(screenshotDir === undefined ? [] : [`--screenshot-dir=${screenshotDir}`]),
    ...(controlSocket === undefined ? [] : [`--control-socket=${controlSocket}`]),
    `--log-level=${options.logLevel ?? 'info'}`,
    ...(options.args ?? []),
  ]);
}

/** Runs `oriel ctl` against a control socket. @returns its stdout @throws GuestError ERR_GUEST_COMMAND */
export function orielCtl(controlSocket: string, ...args: readonly string[]): Promise<string> {
  return exec([...ORIEL, 'ctl', `--socket=${controlSocket}`, ...args]);
}

/** The lines of a back-end's log that are warnings or errors. */
export function complaints(backend: HostProcess): string[] {
  return backend.stderr.split('\n').filter((line) => / (warn|error) /.test(line));
}
