/** The options of `oriel run`. */
import { processOptions } from './common-options.ts';
import { parseDeviceSpec } from './key-values.ts';
import { repeated } from './option.ts';

/** `--device`, and what goes for all of them. */
export const runOptions = {
  device: repeated(
    'TYPE,KEY=VALUE..',
    'a device and its own options; a comma inside a value is doubled',
    parseDeviceSpec,
  ),
  ...processOptions,
};
