/** The options of `oriel pmem`. */
import { commonOptions } from './common-options.ts';
import { choice, count, text } from './option.ts';

/** All options of `oriel pmem`, with their defaults and help. */
export const pmemOptions = {
  file: text('FILE', "what the guest's memory is kept in; its size is the memory's (required)"),
  'queue-size': count(8, 32768, 64, 'largest ring, a power of two'),
  'memory-slots': choice(
    ['off', 'on'],
    'off',
    'off: the guest may reboot under QEMU; on: beside devices with windows in the same VM',
  ),
  ...commonOptions,
};
