/**
 * A lock on the directory of a path, for the moment in which a file appears there: two programs of ours that start at the
 * same time then do so one after the other.
 */
import { dirname } from 'node:path';
import { EAGAIN } from '../constants/errno.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../constants/file.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';

/** sys/file.h */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** The holder needs microseconds. One who keeps the lock longer is not of ours, and must not keep us from starting. */
const TRIES = 20;
const NAP_MS = 10;
/** Who waited as long as this goes on without the lock. */
export const LOCK_PATIENCE_MS = TRIES * NAP_MS;

/** Runs `act` with the directory locked; without the lock where it cannot be had. */
export function withDirectoryLock<T>(path: string, act: () => T): T {
  const directory = new TextEncoder().encode(`${dirname(path)}\0`);
  const fd = rawCall('ipii')(SYS.openat, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd === -1) {
    return act();
  }
  try {
    lock(fd);
    return act();
  } finally {
    rawCall('i')(SYS.close, fd);
  }
}

function lock(fd: number): void {
  const flock = rawCall('ii');
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let left = TRIES; left > 0; left--) {
    if (flock(SYS.flock, fd, LOCK_EX | LOCK_NB) !== -1 || errno() !== EAGAIN) {
      return;
    }
    Atomics.wait(never, 0, 0, NAP_MS);
  }
}
