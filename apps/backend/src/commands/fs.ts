/** `oriel fs`: shares a directory. */
import { DAX_RANGE, mappingsPerRange } from '@oriel/fs-dax';
import { profiles } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { type FsOptionValues, fsOptions } from '../cli/fs-options.ts';
import { parseOptions } from '../cli/parse-options.ts';
import { plannedDescriptors } from '../descriptor-limit.ts';
import type { FsDeviceSettings } from '../devices/fs.ts';
import type { LogSettings } from '../logging.ts';
import { openStateDir } from '../state-dir.ts';
import { checkWindow } from '../window-rules.ts';
import type { DeviceCommand, DeviceNeeds, DevicePlan } from './command.ts';
import { checkPowerOfTwo, checkSocket, controlPath, directory, required, workerPlan } from './common.ts';

const MAX_TAG_BYTES = 36;

function checkTag(tag: string): string {
  if (Buffer.byteLength(tag) > MAX_TAG_BYTES) {
    throw new CliError(`--tag=${tag}: ${Buffer.byteLength(tag)} bytes: give at most ${MAX_TAG_BYTES}`);
  }
  if (tag.includes('\n')) {
    throw new CliError('--tag: give one without a line break, which Linux refuses');
  }
  return tag;
}

/** A read-only share has none: a mapping is made from a descriptor that may be written. */
function windowSize(values: FsOptionValues): number {
  return values.readonly ? 0 : values.window;
}

function needs(args: readonly string[]): DeviceNeeds {
  const { values } = parseOptions(fsOptions, args);
  const ranges = Math.ceil(windowSize(values) / DAX_RANGE);
  const mappings = values['max-mappings'] ?? ranges * mappingsPerRange(values['dax-tail']);
  return { mappings, descriptors: values['rlimit-nofile'] ?? 'rest' };
}

function plan(args: readonly string[], log: Pick<LogSettings, 'name'>): DevicePlan {
  const { values } = parseOptions(fsOptions, args);
  checkSocket(values);
  const tag = checkTag(required(values.tag, 'tag', 'NAME'));
  const sharedDir = directory('shared-dir', required(values['shared-dir'], 'shared-dir', 'DIR'));
  const tail = values['dax-tail'];
  const queueSize = values['queue-size'];
  checkPowerOfTwo('queue-size', queueSize);
  const maxMappings = values['max-mappings'];
  const profile = profiles[values.frontend];
  const { readonly } = values;
  const warnings = checkWindow({ size: values.window, tail, profile, maxMappings });
  if (readonly && values.window > 0) {
    warnings.push('--readonly: no DAX window, since a mapping is made from a descriptor that may be written');
  }
  // `copy` changes no file's size, so it has nothing to record.
  const needsState = windowSize(values) > 0 && tail !== 'copy';
  const guard = values['dax-unguarded'] ? 'off' : values['dax-guard'];
  if (windowSize(values) > 0 && guard === 'off') {
    warnings.push('--dax-unguarded: a process that truncates a file which the guest has mapped ends the VM');
  }
  const options: FsDeviceSettings = {
    tag,
    sharedDir,
    stateDir: needsState ? openStateDir(values['state-dir']) : undefined,
    tail,
    windowSize: windowSize(values),
    daxMinSize: values['dax-min-size'],
    guard,
    readonly,
    cache: values.cache,
    xattr: values.xattr,
    inodeFileHandles: values['inode-file-handles'],
    queueSize,
    numRequestQueues: values['num-request-queues'],
    descriptors: plannedDescriptors(values['rlimit-nofile']),
  };
  const worker = workerPlan(values, log, { type: 'fs', options });
  return { worker, controlSocket: controlPath(values), warnings };
}

/** `oriel fs`. */
export const fsCommand: DeviceCommand = {
  summary: 'share a directory, with a DAX window (virtio-fs)',
  options: fsOptions,
  capabilities: { type: 'fs', features: ['separate-options'] },
  needs,
  plan,
};
