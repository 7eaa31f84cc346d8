/** `oriel pmem`: a file as persistent memory of the guest. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { PMEM_ALIGN } from '@oriel/pmem';
import { profiles } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { parseOptions } from '../cli/parse-options.ts';
import { pmemOptions } from '../cli/pmem-options.ts';
import { formatSize } from '../cli/size.ts';
import type { PmemDeviceSettings } from '../devices/pmem.ts';
import type { LogSettings } from '../logging.ts';
import type { DeviceCommand, DeviceNeeds, DevicePlan } from './command.ts';
import { checkPowerOfTwo, checkSocket, controlPath, required, workerPlan } from './common.ts';

/** Descriptors of Node, the loop, the socket, its channels, the ring and the guest's memory. */
const BASE_DESCRIPTORS = 1024;

/** The absolute path of a file whose size can be a region's. @throws CliError that names a size which fits */
function imageFile(path: string, powerOfTwo: boolean): string {
  const absolute = resolve(path);
  const found = statSync(absolute, { throwIfNoEntry: false });
  if (found?.isFile() !== true) {
    throw new CliError(`--file=${path}: give a regular file that exists: make one with truncate -s 1G ${path}`);
  }
  const { size } = found;
  const fits = powerOfTwo
    ? 2 ** Math.ceil(Math.log2(Math.max(size, PMEM_ALIGN)))
    : Math.ceil(Math.max(size, 1) / PMEM_ALIGN) * PMEM_ALIGN;
  if (size !== fits) {
    const rule = powerOfTwo ? 'a power of two' : `a multiple of ${formatSize(PMEM_ALIGN)}`;
    throw new CliError(`--file=${path}: ${size} bytes, want ${rule}: lengthen it with truncate -s ${fits} ${path}`);
  }
  return absolute;
}

function needs(args: readonly string[]): DeviceNeeds {
  const { values } = parseOptions(pmemOptions, args);
  return { mappings: values['max-mappings'] ?? 1, descriptors: values['rlimit-nofile'] ?? BASE_DESCRIPTORS };
}

function plan(args: readonly string[], log: Pick<LogSettings, 'name'>): DevicePlan {
  const { values } = parseOptions(pmemOptions, args);
  checkSocket(values);
  checkPowerOfTwo('queue-size', values['queue-size']);
  const { powerOfTwoRegions } = profiles[values.frontend];
  const options: PmemDeviceSettings = {
    file: imageFile(required(values.file, 'file', 'FILE'), powerOfTwoRegions),
    queueSize: values['queue-size'],
  };
  const own = { type: 'pmem', options, memorySlots: values['memory-slots'] === 'on' };
  const warnings: string[] = [];
  return { worker: workerPlan(values, log, own), controlSocket: controlPath(values), warnings };
}

/** `oriel pmem`. */
export const pmemCommand: DeviceCommand = {
  summary: 'a file as persistent memory of the guest (virtio-pmem)',
  options: pmemOptions,
  // QEMU's list of types has none for it.
  capabilities: () => ({ type: 'generic', features: [] }),
  needs,
  plan,
};
