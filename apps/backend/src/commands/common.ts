/** The part of a command line that is the same for every device. */
import { fstatSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from '../cli/cli-error.ts';
import type { CommonOptionValues } from '../cli/common-options.ts';
import { groupId } from '../group.ts';
import type { LogSettings } from '../logging.ts';
import { moduleUrl } from '../module-url.ts';
import { readMark } from '../sandbox/mark.ts';
import type { WorkerPlan } from '../worker-plan.ts';

/** sun_path is 108 bytes with its NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;

/** The absolute path of a socket file. @throws CliError when no socket can have it */
export function socketFilePath(name: string, path: string): string {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new CliError(`--${name}: ${Buffer.byteLength(path)} bytes: give at most ${MAX_SOCKET_PATH}`);
  }
  return resolve(path);
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** @throws CliError unless the options name one usable socket */
export function checkSocket(values: CommonOptionValues): void {
  const { 'socket-path': path, fd, 'socket-group': group, 'control-socket': control } = values;
  if ((path === undefined) === (fd === undefined)) {
    throw new CliError('give exactly one of --socket-path PATH and --fd N');
  }
  if (path === undefined && group !== undefined) {
    throw new CliError('--socket-group is for the file that --socket-path makes: leave it out with --fd');
  }
  if (fd !== undefined && values.restart !== 'no') {
    throw new CliError('--restart is for a socket that this program makes: give --socket-path, not --fd');
  }
  if (path !== undefined && control !== undefined && resolve(path) === resolve(control)) {
    throw new CliError("--control-socket: this is the front-end's socket: give another path");
  }
  if (fd !== undefined && !isSocket(fd)) {
    throw new CliError(`--fd=${fd}: give the number of an open socket`);
  }
}

/** The absolute path of a directory. @throws CliError when there is none */
export function directory(name: string, path: string): string {
  const absolute = resolve(path);
  const found = statSync(absolute, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) {
    throw new CliError(`--${name}=${path}: give a directory that exists`);
  }
  return absolute;
}

/** @throws CliError unless `value` is a power of two */
export function checkPowerOfTwo(name: string, value: number): void {
  if (!Number.isInteger(Math.log2(value))) {
    throw new CliError(`--${name}=${value}: give a power of two, such as ${2 ** Math.round(Math.log2(value))}`);
  }
}

/** The value of an option that must be given. @throws CliError that shows how */
export function required(value: string | undefined, name: string, example: string): string {
  if (value === undefined) {
    throw new CliError(`--${name} is missing: give --${name} ${example}`);
  }
  return value;
}

/** Where `oriel ctl` is answered, if anywhere. @throws CliError */
export function controlPath({
  'control-socket': path,
}: Pick<CommonOptionValues, 'control-socket'>): string | undefined {
  return path === undefined ? undefined : socketFilePath('control-socket', path);
}

/** What a device's command adds. */
interface OwnPart {
  readonly type: string;
  readonly options: unknown;
  readonly screenshotDir?: string;
  /** Default true. */
  readonly memorySlots?: boolean;
}

/** How log lines look. @throws CliError for two ways at once */
export function logFormat(values: Pick<CommonOptionValues, 'syslog' | 'log-format'>): LogSettings['format'] {
  if (values.syslog && values['log-format'] === 'json') {
    throw new CliError('--syslog: the system log has lines of its own form: leave out --log-format=json');
  }
  return values.syslog ? 'syslog' : values['log-format'];
}

/** A plan from the options that every device has. @throws CliError */
export function workerPlan(values: CommonOptionValues, log: Pick<LogSettings, 'name'>, own: OwnPart): WorkerPlan {
  const { 'socket-path': path, 'socket-group': group } = values;
  return {
    module: moduleUrl(`devices/${own.type}`).href,
    type: own.type,
    options: own.options,
    frontend: values.frontend,
    socketPath: path === undefined ? undefined : socketFilePath('socket-path', path),
    socketGroup: group === undefined ? -1 : (readMark()?.found.socketGroup ?? groupId(group)),
    fd: values.fd,
    screenshotDir: own.screenshotDir,
    maxMappings: values['max-mappings'],
    memorySlots: own.memorySlots ?? true,
    packedRings: values['packed-rings'],
    spinNs: values['spin-us'] * 1000,
    restart: values.restart,
    log: { name: log.name, level: values['log-level'], format: logFormat(values) },
  };
}
