/** Whether this host can tell us of truncations: tests choose by it what they ask of a program. */
import { closeSync, openSync } from 'node:fs';
import { truncationWatchErrno } from '../fanotify/truncation-watch.ts';
import type { Sys } from '../sys.ts';

/**
 * Whether files of a directory can be guarded against truncation by others: as root, on file systems that tell of it.
 * @returns 0, or a negative errno
 */
export function guardErrno(sys: Sys, directory: string): number {
  const fd = openSync(directory, 'r');
  try {
    return truncationWatchErrno(sys, fd);
  } finally {
    closeSync(fd);
  }
}

/** True where `guardErrno` is 0. */
export function canGuard(sys: Sys, directory: string): boolean {
  return guardErrno(sys, directory) === 0;
}
