/** Connecting to a peer that may be busy. */
import { EAGAIN } from '@oriel/sys';
import type { SessionOptions } from './session.ts';

const BACKLOG_MS = 5;

/** Nothing tells when a full backlog has room again, so it is asked now and then. */
export function connectPatiently({ connect, waiter, timeoutMs }: SessionOptions): number {
  const end = waiter.now() + timeoutMs;
  for (;;) {
    const socket = connect();
    if (socket !== -EAGAIN || waiter.now() >= end) return socket;
    waiter.wait([], 0, BACKLOG_MS);
  }
}
