/** The options of `oriel gpu`. */
import { contextTypeNames } from '../gpu-contexts.ts';
import { channelOptions } from './channel-options.ts';
import { CliError } from './cli-error.ts';
import { commonOptions } from './common-options.ts';
import type { OptionValues } from './option.ts';
import { count, list, size, text } from './option.ts';
import { parseOutput } from './output-size.ts';

const MIB = 1024 * 1024;

function parseCapset(name: string, given: string): string {
  if (!contextTypeNames.includes(given)) {
    throw new CliError(`--${name}: '${given}': give some of ${contextTypeNames.join(', ')}, or none`);
  }
  return given;
}

/** All options of `oriel gpu`, with their defaults and help. */
export const gpuOptions = {
  'host-visible': size(256 * MIB, 'window into which blobs of host memory are mapped; 0: none'),
  outputs: list('WxH[,WxH..]', '1280x800', "displays; 'off' for one unplugged, 'none' for a render node", parseOutput),
  capsets: list('NAME[,NAME..]', 'memory', "kinds of context for guest programs; 'none' for 2D alone", parseCapset),
  'max-hostmem': size(256 * MIB, 'host memory for 2D resources and blobs together'),
  'max-resources': count(1, 1 << 20, 16384, 'resources at a time'),
  'max-contexts': count(1, 1 << 16, 256, 'contexts at a time'),
  'queue-size': count(16, 32768, 256, 'largest ring, a power of two'),
  'screenshot-dir': text('DIR', 'keep a picture of each display here, scanout-N.png'),
  ...channelOptions,
  ...commonOptions,
};

/** The values of `oriel gpu`. */
export type GpuOptionValues = OptionValues<typeof gpuOptions>;
