/** Which windows a front-end takes: decided at the start, since a mapping that is refused later hurts the guest. */
import { DAX_RANGE, type DaxTail, mappingsPerRange } from '@oriel/fs-dax';
import { planBudget } from '@oriel/shm-region';
import type { FrontendProfile } from '@oriel/vhost-user';
import { CliError } from './cli/cli-error.ts';
import { formatSize } from './cli/size.ts';

/** @throws CliError when the front-end does not bear so many mappings */
export function checkMaxMappings(maxMappings: number | undefined, { limits, name }: FrontendProfile): void {
  if (maxMappings !== undefined && maxMappings > limits.maxMappings) {
    throw new CliError(`--max-mappings=${maxMappings}: front-end ${name} bears ${limits.maxMappings}: give no more`);
  }
}

/** @throws CliError when the front-end takes no region of this size */
function checkRegionSize(option: string, size: number, { name, powerOfTwoRegions }: FrontendProfile): void {
  if (powerOfTwoRegions && !Number.isInteger(Math.log2(size))) {
    const fits = formatSize(2 ** Math.floor(Math.log2(size)));
    throw new CliError(`${option}: front-end ${name} wants a power of two, such as ${fits}`);
  }
}

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
  const { limits, name, advisedWindow } = profile;
  checkMaxMappings(maxMappings, profile);
  if (size === 0) {
    return [];
  }
  if (size % DAX_RANGE !== 0) {
    throw new CliError(
      `${option}: give a multiple of ${formatSize(DAX_RANGE)}, the range that the guest maps at a time`,
    );
  }
  checkRegionSize(option, size, profile);
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

/** A window of blobs. */
export interface HostVisibleRequest {
  /** Bytes; 0 for none. */
  readonly size: number;
  readonly profile: FrontendProfile;
  /** Mappings for this device; undefined: the profile's. */
  readonly maxMappings: number | undefined;
}

/** With fewer, a guest's desktop runs out of them at once. */
const FEW_MAPPINGS = 16;

/**
 * Checks a window of blobs. Their sizes are the guest's choice, from one page up, so the number of mappings ends before or
 * after the window does: then mapping one more is refused to the guest, which is harmless.
 * @returns what a person should know nevertheless, one sentence each
 * @throws CliError that names a window which fits
 */
export function checkHostVisible({ size, profile, maxMappings }: HostVisibleRequest): string[] {
  const option = `--host-visible=${formatSize(size)}`;
  checkMaxMappings(maxMappings, profile);
  if (size === 0) {
    return [];
  }
  const { pageSize } = profile.limits;
  if (size % pageSize !== 0) {
    throw new CliError(`${option}: give a multiple of the page size, ${formatSize(pageSize)}`);
  }
  checkRegionSize(option, size, profile);
  return maxMappings !== undefined && maxMappings < FEW_MAPPINGS
    ? [`--max-mappings=${maxMappings}: the guest can map no more blobs than that at a time: give more for a desktop`]
    : [];
}
