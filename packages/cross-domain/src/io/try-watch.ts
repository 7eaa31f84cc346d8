/** Watching what a peer gave: it may be of a kind that cannot be watched. */
import { type EventLoop, SysError, type Watch, type WatchHandler } from '@oriel/sys';

/** @returns null where the system refuses */
export function tryWatch(loop: EventLoop, fd: number, events: number, handler: WatchHandler): Watch | null {
  try {
    return loop.watch(fd, events, handler);
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}
