/** How several devices share what one VM, or one process, has a limited number of. */
import type { FrontendProfile } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { checkMaxMappings } from '../window-rules.ts';
import type { DeviceNeeds } from './command.ts';

/** A device in a split. */
export interface Sharer {
  readonly name: string;
  readonly needs: DeviceNeeds;
}

/** How many devices take what others leave get of the descriptors at least: a half. */
const OPEN_HANDED = 2;

/**
 * Mappings for each device: a window gets all that it can need; those that take what is left share it equally.
 * @param asked - `--max-mappings` of them all; undefined: what the front-end bears
 * @throws CliError when the sum does not fit
 */
export function splitMappings(
  sharers: readonly Sharer[],
  profile: FrontendProfile,
  asked: number | undefined,
): number[] {
  checkMaxMappings(asked, profile);
  const limit = asked ?? profile.limits.maxMappings;
  const least = sharers.map(({ needs: { mappings } }) => (typeof mappings === 'number' ? mappings : mappings.atLeast));
  const sum = least.reduce((total, one) => total + one, 0);
  if (sum > limit) {
    const parts = sharers.map(({ name }, index) => `${name} ${least[index]}`).join(' + ');
    throw new CliError(
      `${parts} mappings are ${sum}, and there are ${limit} (front-end ${profile.name} bears ${profile.limits.maxMappings}): ` +
        'make a window smaller',
    );
  }
  const takers = sharers.filter(({ needs }) => typeof needs.mappings !== 'number').length;
  const extra = Math.floor((limit - sum) / Math.max(1, takers));
  return sharers.map(({ needs }, index) => least[index]! + (typeof needs.mappings === 'number' ? 0 : extra));
}

/**
 * Descriptors for each device. Those that name a number get it, but all together no more than half where others take the
 * rest, which they share equally.
 */
export function splitDescriptors(sharers: readonly Sharer[], total: number): number[] {
  const named = sharers.map(({ needs }) => (needs.descriptors === 'rest' ? 0 : needs.descriptors));
  const sum = named.reduce((all, one) => all + one, 0);
  const takers = named.filter((one) => one === 0).length;
  const most = takers === 0 ? total : Math.floor(total / OPEN_HANDED);
  const scale = Math.min(1, most / Math.max(1, sum));
  const given = named.map((one) => Math.floor(one * scale));
  const rest = total - given.reduce((all, one) => all + one, 0);
  return given.map((one, index) => (named[index] === 0 ? Math.floor(rest / takers) : one));
}
