/** Whether the files of a share can be guarded against truncation: a start without it must be wanted. */
import { closeSync, constants, openSync } from 'node:fs';
import type { DaxGuard } from '@oriel/fs-dax';
import { EOPNOTSUPP, EPERM, errnoName, type Sys, truncationWatchErrno } from '@oriel/sys';
import { CliError } from './cli/cli-error.ts';

/** What is missing, for a person. */
function lacking(errno: number): string {
  if (errno === EPERM) {
    return 'this process lacks CAP_SYS_ADMIN';
  }
  return errno === EOPNOTSUPP
    ? 'its file system has no pre-content events (ext4, xfs and btrfs have)'
    : `the kernel has no pre-content events (${errnoName(errno)}; Linux 6.14 has)`;
}

/** @throws CliError where the files of a directory cannot be guarded as wanted */
export function checkGuard(sys: Pick<Sys, 'fanotify' | 'fd'>, sharedDir: string, guard: DaxGuard): void {
  if (guard === 'off') {
    return;
  }
  const fd = openSync(sharedDir, constants.O_RDONLY | constants.O_DIRECTORY);
  let errno: number;
  try {
    errno = -truncationWatchErrno(sys, fd);
  } finally {
    closeSync(fd);
  }
  if (errno !== 0) {
    throw new CliError(
      `--shared-dir=${sharedDir}: mapped files cannot be guarded against truncation, which ends the VM: ` +
        `${lacking(errno)}: give --dax-unguarded to accept that, or --window=0 for no DAX`,
    );
  }
}
