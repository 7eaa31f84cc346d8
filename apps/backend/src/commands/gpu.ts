/** `oriel gpu`: displays, and blobs of host memory in the guest. */
import { accessSync, constants } from 'node:fs';
import { VIRTIO_GPU_MAX_SCANOUTS } from '@oriel/gpu-blob';
import { profiles } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { type GpuOptionValues, gpuOptions } from '../cli/gpu-options.ts';
import { type ParsedOptions, parseOptions } from '../cli/parse-options.ts';
import { plannedDescriptors } from '../descriptor-limit.ts';
import type { GpuDeviceSettings } from '../devices/gpu.ts';
import type { LogSettings } from '../logging.ts';
import { checkHostVisible } from '../window-rules.ts';
import { CROSS_DOMAIN, capsetsWith, channelSettings } from './channels.ts';
import type { DeviceCommand, DeviceNeeds, DevicePlan } from './command.ts';
import { checkPowerOfTwo, checkSocket, controlPath, directory, workerPlan } from './common.ts';

/** Descriptors of Node, the loop, the socket, its channels, the rings and the guest's memory. */
const BASE_DESCRIPTORS = 1024;
/** Descriptors that are held for guest programs which reach sockets of the host. */
const CHANNEL_DESCRIPTORS = 4096;
/** With fewer mappings than this a window is of little use. */
const LEAST_MAPPINGS = 16;

function writableDirectory(name: string, path: string): string {
  const absolute = directory(name, path);
  try {
    accessSync(absolute, constants.W_OK | constants.X_OK);
    return absolute;
  } catch {
    throw new CliError(`--${name}=${path}: this user may not write there: give another directory`);
  }
}

function checkNames(values: GpuOptionValues): void {
  const { outputs, capsets } = values;
  if (outputs.length > VIRTIO_GPU_MAX_SCANOUTS) {
    throw new CliError(`--outputs: ${outputs.length} of them: give at most ${VIRTIO_GPU_MAX_SCANOUTS}`);
  }
  if (new Set(capsets).size < capsets.length) {
    throw new CliError('--capsets: one is named twice: name it once');
  }
}

function needs(args: readonly string[]): DeviceNeeds {
  const parsed = parseOptions(gpuOptions, args);
  const { values } = parsed;
  const forChannels = capsetsOf(parsed).includes(CROSS_DOMAIN) ? CHANNEL_DESCRIPTORS : 0;
  return {
    mappings: values['max-mappings'] ?? (values['host-visible'] === 0 ? 0 : { atLeast: LEAST_MAPPINGS }),
    descriptors: values['rlimit-nofile'] ?? BASE_DESCRIPTORS + forChannels + values['max-resources'],
  };
}

function capsetsOf({ values, given }: ParsedOptions<typeof gpuOptions>): readonly string[] {
  return capsetsWith(values.capsets, given.has('capsets'), values);
}

/** Of the planned descriptors, at most a quarter. */
function channelDescriptors({ values }: ParsedOptions<typeof gpuOptions>, capsets: readonly string[]): number {
  if (!capsets.includes(CROSS_DOMAIN)) return 0;
  return Math.min(CHANNEL_DESCRIPTORS, plannedDescriptors(values['rlimit-nofile']) >> 2);
}

/** Each resource may hold an open file. A guest comes near the default only when it means harm. */
function resourcesFor(parsed: ParsedOptions<typeof gpuOptions>, forChannels: number, warnings: string[]): number {
  const { values, given } = parsed;
  const descriptors = plannedDescriptors(values['rlimit-nofile']) - forChannels;
  const wanted = values['max-resources'];
  const most = Math.max(1, descriptors > 2 * BASE_DESCRIPTORS ? descriptors - BASE_DESCRIPTORS : descriptors >> 1);
  if (wanted > most && given.has('max-resources')) {
    warnings.push(`--max-resources: ${most}, as there are ${descriptors} descriptors: raise --rlimit-nofile for more`);
  }
  return Math.min(wanted, most);
}

function plan(args: readonly string[], log: Pick<LogSettings, 'name'>): DevicePlan {
  const parsed = parseOptions(gpuOptions, args);
  const { values } = parsed;
  checkSocket(values);
  checkNames(values);
  checkPowerOfTwo('queue-size', values['queue-size']);
  const hostVisible = values['host-visible'];
  const profile = profiles[values.frontend];
  const warnings = checkHostVisible({ size: hostVisible, profile, maxMappings: values['max-mappings'] });
  const screenshots = values['screenshot-dir'];
  const screenshotDir = screenshots === undefined ? undefined : writableDirectory('screenshot-dir', screenshots);
  const capsets = capsetsOf(parsed);
  const forChannels = channelDescriptors(parsed, capsets);
  const options: GpuDeviceSettings = {
    hostVisible,
    outputs: values.outputs,
    capsets,
    channels: channelSettings(values, Math.max(1, forChannels)),
    maxHostmem: values['max-hostmem'],
    maxResources: resourcesFor(parsed, forChannels, warnings),
    maxContexts: values['max-contexts'],
    queueSize: values['queue-size'],
    screenshots: screenshotDir !== undefined,
  };
  const own = { type: 'gpu', options, ...(screenshotDir === undefined ? {} : { screenshotDir }) };
  return { worker: workerPlan(values, log, own), controlSocket: controlPath(values), warnings };
}

/** `oriel gpu`. */
export const gpuCommand: DeviceCommand = {
  summary: 'displays, and blobs of host memory in the guest (virtio-gpu)',
  options: gpuOptions,
  // Feature words of this type name options that other programs have: --virgl and --render-node.
  capabilities: () => ({ type: 'gpu', features: [] }),
  needs,
  plan,
};
