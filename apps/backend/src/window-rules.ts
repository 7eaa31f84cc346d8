/** Which windows a front-end takes: decided at the start, since a mapping that is refused later hurts the guest. */
import { DAX_RANGE, type DaxTail, mappingsPerRange } from '@oriel/fs-dax';
import { planBudget } from '@oriel/shm-region';
import type { FrontendProfile } from '@oriel/vhost-user';
import { CliError } from './cli/cli-error.ts';
import { formatSize } from './cli/size.ts';

/** A window and those who must bear it. */
export interface WindowRequest {
  /** Bytes; 0 for none. */
  readonly size: number;
  readonly tail: DaxTail;
  readonly profile: FrontendProfile;
  /** Mappings for this device; undefined: the profile's. */
  readonly maxMappings: number | undefined;
}

/**
 * Checks a window.
 * @returns what a person should know nevertheless, one sentence each
 * @throws CliError that names a window which fits
 */
export function checkWindow({ size, tail, profile, maxMappings }: WindowRequest): string[] {
  const option = `--window=${formatSize(size)}`;
  const { limits, name, advisedWindow, powerOfTwoRegions } = profile;
  if (maxMappings !== undefined && maxMappings > limits.maxMappings) {
    throw new CliError(`--max-mappings=${maxMappings}: front-end ${name} bears ${limits.maxMappings}: give no more`);
  }
  if (size === 0) {
    return [];
  }
  if (size % DAX_RANGE !== 0) {
    throw new CliError(
      `${option}: give a multiple of ${formatSize(DAX_RANGE)}, the range that the guest maps at a time`,
    );
  }
  if (powerOfTwoRegions && !Number.isInteger(Math.log2(size))) {
    const fits = formatSize(2 ** Math.floor(Math.log2(size)));
    throw new CliError(`${option}: front-end ${name} wants a power of two, such as ${fits}`);
  }
  const plan = planBudget({
    windowSize: size,
    rangeSize: DAX_RANGE,
    mappingsPerRange: mappingsPerRange(tail),
    limit: maxMappings ?? limits.maxMappings,
    reserved: 0,
    share: 1,
  });
  if (!plan.ok) {
    throw new CliError(`${option}: ${plan.message}`);
  }
  return size > advisedWindow
    ? [
        `${option}: front-end ${name} gets slow above ${formatSize(advisedWindow)}, as each mapping is a memory region there`,
      ]
    : [];
}
