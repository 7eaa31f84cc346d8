/** `oriel fs`: shares a directory. */
import { DAX_RANGE, mappingsPerRange } from '@oriel/fs-dax';
import { profiles } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { type FsOptionValues, fsOptions } from '../cli/fs-options.ts';
import { withoutLegacy } from '../cli/legacy-options.ts';
import { parseOptions } from '../cli/parse-options.ts';
import { checkIdRules } from '../cli/rule-options.ts';
import { sandboxPlan } from '../cli/sandbox-options.ts';
import { plannedDescriptors } from '../descriptor-limit.ts';
import type { FsDeviceSettings, ShareSettings } from '../devices/fs.ts';
import type { LogSettings } from '../logging.ts';
import { readMark } from '../sandbox/mark.ts';
import { openStateDir } from '../state-dir.ts';
import { checkWindow } from '../window-rules.ts';
import type { Capabilities, DeviceCommand, DeviceNeeds, DevicePlan } from './command.ts';
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

/** An option and the one that takes it back; `otherwise` without both. @throws CliError when both are given */
function eitherOr(values: FsOptionValues, name: 'killpriv-v2' | 'announce-submounts', otherwise: boolean): boolean {
  if (values[name] && values[`no-${name}`]) {
    throw new CliError(`--${name} and --no-${name} contradict each other: give one of them`);
  }
  return values[name] || (otherwise && !values[`no-${name}`]);
}

/** @throws CliError */
function shareSettings(values: FsOptionValues): ShareSettings {
  const { xattrmap, 'translate-uid': translateUid, 'translate-gid': translateGid, 'posix-acl': posixAcl } = values;
  if (posixAcl && translateUid.length + translateGid.length > 0) {
    throw new CliError(
      '--posix-acl: ids in access lists are not translated: leave out --translate-uid and --translate-gid',
    );
  }
  checkIdRules('translate-uid', translateUid);
  checkIdRules('translate-gid', translateGid);
  return {
    readonly: values.readonly,
    cache: values.cache,
    xattr: values.xattr,
    ...(xattrmap === undefined ? {} : { xattrMap: xattrmap }),
    posixAcl,
    securityLabel: values['security-label'],
    writeback: values.writeback,
    allowDirectIo: values['allow-direct-io'],
    allowMmap: values['allow-mmap'],
    preserveNoatime: values['preserve-noatime'],
    ...(values['no-readdirplus'] ? { readdirplus: false } : {}),
    // A write in place to a file with DAX is no request: only the guest can clear its bits.
    killprivV2: eitherOr(values, 'killpriv-v2', windowSize(values) === 0),
    announceSubmounts: eitherOr(values, 'announce-submounts', true),
    posixLocks: values['posix-lock'],
    flockLocks: values.flock,
    inodeFileHandles: values['inode-file-handles'],
    translateUid,
    translateGid,
    migration: {
      mode: values['migration-mode'],
      onError: values['migration-on-error'],
      verifyHandles: values['migration-verify-handles'],
    },
  };
}

/** @throws CliError */
function valuesOf(args: readonly string[]): FsOptionValues {
  return parseOptions(fsOptions, withoutLegacy(fsOptions, args)).values;
}

function needs(args: readonly string[]): DeviceNeeds {
  const values = valuesOf(args);
  const ranges = Math.ceil(windowSize(values) / DAX_RANGE);
  const mappings = values['max-mappings'] ?? ranges * mappingsPerRange(values['dax-tail']);
  return { mappings, descriptors: values['rlimit-nofile'] ?? 'rest' };
}

/** A device with a window, or with locks that this host holds, does not migrate. */
function capabilities(args: readonly string[]): Capabilities {
  const features = ['separate-options'];
  try {
    const values = valuesOf(args);
    if (windowSize(values) === 0 && !values['posix-lock'] && !values.flock) {
      features.unshift('migrate-precopy');
    }
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
  }
  return { type: 'fs', features };
}

function plan(args: readonly string[], log: Pick<LogSettings, 'name'>): DevicePlan {
  const values = valuesOf(args);
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
    stateDir: needsState ? (readMark()?.found.stateDir ?? openStateDir(values['state-dir'])) : undefined,
    tail,
    windowSize: windowSize(values),
    daxMinSize: values['dax-min-size'],
    guard,
    share: shareSettings(values),
    threadPoolSize: values['thread-pool-size'],
    queueSize,
    numRequestQueues: values['num-request-queues'],
    descriptors: plannedDescriptors(values['rlimit-nofile']),
  };
  const worker = workerPlan(values, log, { type: 'fs', options });
  const controlSocket = controlPath(values);
  const sandbox = sandboxPlan(values, {
    name: log.name,
    sharedDir,
    stateDir: options.stateDir,
    guarded: windowSize(values) > 0 && guard !== 'off',
    fileHandles: values['inode-file-handles'],
    xattr: values.xattr || values.xattrmap !== undefined || values['posix-acl'] || values['security-label'],
    socketGroup: worker.socketGroup,
    fd: values.fd,
    sockets: [worker.socketPath, controlSocket],
  });
  const { log: settings } = worker;
  const shutIn = sandbox === null ? worker : { ...worker, log: { ...settings, once: true } };
  return { worker: shutIn, controlSocket, warnings, sandbox };
}

/** `oriel fs`. */
export const fsCommand: DeviceCommand = {
  summary: 'share a directory, with a DAX window (virtio-fs)',
  options: fsOptions,
  capabilities,
  needs,
  plan,
};
