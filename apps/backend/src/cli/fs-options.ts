/** The options of `oriel fs`. */
import { commonOptions } from './common-options.ts';
import type { OptionValues } from './option.ts';
import { choice, count, flag, size, text } from './option.ts';

const MIB = 1024 * 1024;

/** All options of `oriel fs`, with their defaults and help. */
export const fsOptions = {
  'shared-dir': text('DIR', 'directory to share (required)'),
  tag: text('TAG', 'name by which the guest mounts it, 1 to 36 bytes (required)'),
  window: size(256 * MIB, 'DAX window; 0: none'),
  'dax-tail': choice(
    ['refuse', 'grow', 'copy'],
    'refuse',
    'files whose last page is partial: no DAX, grown meanwhile, copied',
  ),
  'dax-guard': choice(
    ['auto', 'yield', 'refuse'],
    'auto',
    'a process that truncates what the guest has mapped: waits or is refused, waits, is refused',
  ),
  'dax-unguarded': flag('no guard: a process that truncates what the guest has mapped ends the VM'),
  'dax-min-size': size(MIB, 'smallest file that is mapped'),
  'state-dir': text(
    'DIR',
    'where the record is kept that repairs files after a crash; /var/lib/oriel, or the state folder of the user',
  ),
  readonly: flag('refuse every change; no DAX window then'),
  cache: choice(['auto', 'always', 'metadata', 'never'], 'auto', 'what the guest may cache'),
  xattr: flag('serve extended attributes'),
  'inode-file-handles': choice(
    ['never', 'prefer', 'mandatory'],
    'prefer',
    'file handles in place of the descriptors of inodes, beyond the limit of open files',
  ),
  'queue-size': count(8, 32768, 1024, 'largest ring, a power of two'),
  'num-request-queues': count(1, 64, 1, 'request queues'),
  ...commonOptions,
};

/** The values of `oriel fs`. */
export type FsOptionValues = OptionValues<typeof fsOptions>;
