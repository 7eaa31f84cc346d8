/** From the options about channels to settings of the cross-domain contexts. */

import type { ChannelOptionValues } from '../cli/channel-options.ts';
import { CliError } from '../cli/cli-error.ts';
import type { ChannelSettings } from '../devices/cross-domain.ts';
import { socketFilePath } from './common.ts';

/** The context type that channels belong to, by its name in `--capsets`. */
export const CROSS_DOMAIN = 'cross-domain';

/** What a program of the protocol needs: one pool, a keymap, a cursor. */
const LEAST_BYTES = 1024 * 1024;

/** The context types: those of `--capsets`, and what `--channel` means where they are not given. @throws CliError */
export function capsetsWith(
  capsets: readonly string[],
  areGiven: boolean,
  values: ChannelOptionValues,
): readonly string[] {
  if (values.channel.length === 0 || capsets.includes(CROSS_DOMAIN)) return capsets;
  if (areGiven) throw new CliError(`--channel needs a kind of context that --capsets leaves out: add ${CROSS_DOMAIN}`);
  return [...capsets, CROSS_DOMAIN];
}

/** @param maxTotalFds - descriptors of all guest programs together @throws CliError */
export function channelSettings(values: ChannelOptionValues, maxTotalFds: number): ChannelSettings {
  const chosen = values.channel.flat();
  const names = chosen.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new CliError(`--channel: ${twice} is given twice: give it once`);
  const { 'wayland-security-context': security, 'wayland-app-id': appId, 'wayland-instance-id': instanceId } = values;
  const isNamed = appId !== undefined || instanceId !== undefined;
  if (!names.includes('wayland') && (isNamed || security === 'require')) {
    throw new CliError('--wayland-...: there is no --channel wayland=PATH: give one, or leave these out');
  }
  if (isNamed && security === 'off') {
    throw new CliError('--wayland-security-context=off: nobody hears of the ids: leave them out');
  }
  if (values['channel-max-bytes'] < LEAST_BYTES) throw new CliError('--channel-max-bytes: give at least 1M');
  return {
    channels: chosen.map(({ type, path }) => ({ type, path: socketFilePath('channel', path) })),
    security,
    appId,
    instanceId,
    maxFds: values['channel-max-fds'],
    maxTotalFds,
    maxBytes: values['channel-max-bytes'],
    maxBlobs: values['channel-max-blobs'],
  };
}
