/** The options of `oriel fs`. */
import { commonOptions } from './common-options.ts';
import type { OptionValues } from './option.ts';
import { choice, count, flag, size, text } from './option.ts';
import { idRanges, idRules, xattrRules } from './rule-options.ts';
import { sandboxOptions } from './sandbox-options.ts';

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
  xattrmap: xattrRules(
    'names of extended attributes on the host, :TYPE:SCOPE:KEY:PREPEND: or :map:KEY:PREPEND:; implies xattr',
  ),
  'posix-acl': flag("access lists (POSIX ACLs), the host's default ones too; implies xattr"),
  'security-label': flag('labels of SELinux and others from the birth of a file on; implies xattr'),
  writeback: flag('let the guest keep written data for a while: nobody else may write to the directory then'),
  'allow-direct-io': flag('O_DIRECT of the guest reaches the host'),
  'allow-mmap': flag('shared mappings of files that are not cached (cache never and metadata)'),
  'preserve-noatime': flag('O_NOATIME of the guest reaches the host, which may refuse it'),
  'no-readdirplus': flag('names of a directory come without attributes'),
  'killpriv-v2': flag('clear set-id bits here in place of in the guest: without a window, so it is anyway'),
  'no-killpriv-v2': flag('leave it to the guest to clear set-id bits'),
  'announce-submounts': flag('the guest mounts what is mounted below the directory: so it is without this, too'),
  'no-announce-submounts': flag('all that is below the directory is one file system to the guest'),
  'translate-uid': idRules(
    'guest, host, map, squash-guest, squash-host: ids that differ on the host; forbid-guest:FROM:COUNT; repeatable',
  ),
  'translate-gid': idRules('the same of groups'),
  'uid-map': idRanges('ids of users in the user namespace of the sandbox; may be given several times'),
  'gid-map': idRanges('the same of groups'),
  'thread-pool-size': count(
    0,
    65_536,
    256,
    'calls at one time that wait outside of the loop, for a disk or another machine; 0: in the loop',
  ),
  'posix-lock': flag('locks by fcntl(2) that other guests and the host see'),
  flock: flag('locks by flock(2) that other guests and the host see'),
  'inode-file-handles': choice(
    ['never', 'prefer', 'mandatory'],
    'prefer',
    'file handles in place of the descriptors of inodes, beyond the limit of open files',
  ),
  'migration-mode': choice(
    ['find-paths', 'file-handles'],
    'find-paths',
    'a VM that moves away: its files are told by path, or by file handle too',
  ),
  'migration-on-error': choice(
    ['abort', 'guest-error'],
    'abort',
    'a file of a VM that comes is not here: the VM stays away, or the guest gets errors for it',
  ),
  'migration-verify-handles': flag('tell file handles with the paths: only these very files are taken, no copies'),
  'migration-confirm-paths': flag('look each path up when the VM has stopped: so it is without this, too'),
  'queue-size': count(8, 32768, 1024, 'largest ring, a power of two'),
  'num-request-queues': count(1, 64, 1, 'request queues'),
  ...sandboxOptions,
  ...commonOptions,
};

/** The values of `oriel fs`. */
export type FsOptionValues = OptionValues<typeof fsOptions>;
