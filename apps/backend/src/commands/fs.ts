/** `oriel fs`: shares a directory. */
import { fstatSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { profiles } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { type FsOptionValues, fsOptions } from '../cli/fs-options.ts';
import { parseOptions } from '../cli/parse-options.ts';
import { plannedDescriptors } from '../descriptor-limit.ts';
import type { FsDeviceSettings } from '../devices/fs.ts';
import { groupId } from '../group.ts';
import type { LogSettings } from '../logging.ts';
import { moduleUrl } from '../run-device.ts';
import { openStateDir } from '../state-dir.ts';
import { checkWindow } from '../window-rules.ts';
import type { WorkerPlan } from '../worker-plan.ts';
import type { Command, CommandPlan } from './command.ts';

const MAX_TAG_BYTES = 36;
/** sun_path is 108 bytes with its NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;

function required(value: string | undefined, name: string, example: string): string {
  if (value === undefined) {
    throw new CliError(`--${name} is missing: give --${name} ${example}`);
  }
  return value;
}

function directory(name: string, path: string): string {
  const absolute = resolve(path);
  const found = statSync(absolute, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) {
    throw new CliError(`--${name}=${path}: give a directory that exists`);
  }
  return absolute;
}

function checkSocket(values: FsOptionValues): void {
  const { 'socket-path': path, fd, 'socket-group': group } = values;
  if ((path === undefined) === (fd === undefined)) {
    throw new CliError('give exactly one of --socket-path PATH and --fd N');
  }
  if (path === undefined && group !== undefined) {
    throw new CliError('--socket-group is for the file that --socket-path makes: leave it out with --fd');
  }
  if (path !== undefined && Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new CliError(`--socket-path: ${Buffer.byteLength(path)} bytes: give at most ${MAX_SOCKET_PATH}`);
  }
  if (fd !== undefined && !isSocket(fd)) {
    throw new CliError(`--fd=${fd}: give the number of an open socket`);
  }
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

function checkTag(tag: string): string {
  if (Buffer.byteLength(tag) > MAX_TAG_BYTES) {
    throw new CliError(`--tag=${tag}: ${Buffer.byteLength(tag)} bytes: give at most ${MAX_TAG_BYTES}`);
  }
  if (tag.includes('\n')) {
    throw new CliError('--tag: give one without a line break, which Linux refuses');
  }
  return tag;
}

function plan(args: readonly string[], log: Pick<LogSettings, 'name'>): CommandPlan {
  const { values } = parseOptions(fsOptions, args);
  checkSocket(values);
  const tag = checkTag(required(values.tag, 'tag', 'NAME'));
  const sharedDir = directory('shared-dir', required(values['shared-dir'], 'shared-dir', 'DIR'));
  const tail = values['dax-tail'];
  const queueSize = values['queue-size'];
  if (!Number.isInteger(Math.log2(queueSize))) {
    throw new CliError(
      `--queue-size=${queueSize}: give a power of two, such as ${2 ** Math.round(Math.log2(queueSize))}`,
    );
  }
  const maxMappings = values['max-mappings'];
  const profile = profiles[values.frontend];
  const { readonly } = values;
  const warnings = checkWindow({ size: values.window, tail, profile, maxMappings });
  if (readonly && values.window > 0) {
    warnings.push('--readonly: no DAX window, since a mapping is made from a descriptor that may be written');
  }
  const windowSize = readonly ? 0 : values.window;
  // `copy` changes no file's size, so it has nothing to record.
  const needsState = windowSize > 0 && tail !== 'copy';
  const options: FsDeviceSettings = {
    tag,
    sharedDir,
    stateDir: needsState ? openStateDir(values['state-dir']) : undefined,
    tail,
    windowSize,
    daxMinSize: values['dax-min-size'],
    readonly,
    cache: values.cache,
    xattr: values.xattr,
    inodeFileHandles: values['inode-file-handles'],
    queueSize,
    numRequestQueues: values['num-request-queues'],
    descriptors: plannedDescriptors(values['rlimit-nofile']),
  };
  const group = values['socket-group'];
  const worker: WorkerPlan = {
    module: moduleUrl('devices/fs').href,
    options,
    frontend: values.frontend,
    socketPath: values['socket-path'] === undefined ? undefined : resolve(values['socket-path']),
    socketGroup: group === undefined ? -1 : groupId(group),
    fd: values.fd,
    maxMappings,
    spinNs: values['spin-us'] * 1000,
    log: { name: log.name, level: values['log-level'], format: values['log-format'] },
  };
  return { worker, warnings };
}

/** `oriel fs`. */
export const fsCommand: Command = {
  summary: 'share a directory, with a DAX window (virtio-fs)',
  options: fsOptions,
  capabilities: { type: 'fs', features: ['separate-options'] },
  plan,
};
