/** Whether this host can tell us of truncations: tests choose by it what they ask of a program. */
import { closeSync, openSync } from 'node:fs';
import { truncationWatchErrno } from '../fanotify/truncation-watch.ts';
import type { Sys } from '../sys.ts';

/** True when files of a directory can be guarded against truncation by others: as root, on file systems that tell of it. */
export function canGuard(sys: Sys, directory: string): boolean {
  const fd = openSync(directory, 'r');
  try {
    return truncationWatchErrno(sys, fd) === 0;
  } finally {
    closeSync(fd);
  }
}
