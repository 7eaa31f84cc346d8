/** The event slice: epoll, eventfd, the monotonic clock. */
import { U64 } from '@oriel/layout';
import { O_CLOEXEC, O_NONBLOCK } from '../constants/file.ts';
import { EpollEvent } from '../layouts.ts';
import type { SysLoop } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

/** Most events that one `epollWait` reports; the rest comes with the next call. */
const MAX_EVENTS = 256;
const SIGSET_LEN = 8;
const CLOCK_ATTEMPTS = 8;

/**
 * What to add to performance.now() in ns to get CLOCK_MONOTONIC: the same clock from another zero, but a double without
 * an array or a BigInt.
 */
function monotonicZero(): number {
  let zeroNs = 0;
  let narrowest = Number.POSITIVE_INFINITY;
  // The first readings load code, and any may be interrupted: the pair closest together counts.
  for (let attempt = 0; attempt < CLOCK_ATTEMPTS; attempt++) {
    const before = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const after = performance.now();
    if (after - before < narrowest) {
      narrowest = after - before;
      zeroNs = seconds * 1e9 + nanoseconds - ((before + after) / 2) * 1e6;
    }
  }
  return zeroNs;
}

/** @param scratch - memory for events and eventfd counts */
export function openLoop(scratch: Scratch): SysLoop {
  const { epoll_create1, epoll_ctl, epoll_pwait, eventfd2, read, write } = SYS;
  const i = rawCall('i');
  const ii = rawCall('ii');
  const iii = rawCall('iii');
  const iiii = rawCall('iiii');
  const wait = rawCall('iiiiii');
  const view = scratch.view;
  const stride = EpollEvent.byteLength;
  const list = scratch.take(MAX_EVENTS * stride);
  const single = scratch.take(stride);
  const one = scratch.take(8);
  const counter = scratch.take(8);
  const count = U64.at(0);
  count.set(view, one.base, 1);
  const zeroNs = monotonicZero();

  return {
    epollCreate() {
      const result = i(epoll_create1, O_CLOEXEC);
      return result === -1 ? -errno() : result;
    },
    epollCtl(epfd, op, fd, events, token) {
      EpollEvent.events.set(view, single.base, events);
      EpollEvent.data.set(view, single.base, token);
      return iiii(epoll_ctl, epfd, op, fd, single.addr) === -1 ? -errno() : 0;
    },
    epollWait(epfd, timeoutMs, events, tokens) {
      const room = Math.min(events.length, tokens.length, MAX_EVENTS);
      const found = wait(epoll_pwait, epfd, list.addr, room, timeoutMs, 0, SIGSET_LEN);
      if (found === -1) {
        return -errno();
      }
      for (let index = 0, base = list.base; index < found; index++, base += stride) {
        events[index] = EpollEvent.events.get(view, base);
        tokens[index] = EpollEvent.data.get(view, base);
      }
      return found;
    },
    eventfd(initial) {
      const result = ii(eventfd2, initial, O_CLOEXEC | O_NONBLOCK);
      return result === -1 ? -errno() : result;
    },
    eventfdSignal(fd) {
      return iii(write, fd, one.addr, 8) === -1 ? -errno() : 0;
    },
    eventfdDrain(fd) {
      return iii(read, fd, counter.addr, 8) === -1 ? -errno() : count.get(view, counter.base);
    },
    nowNs() {
      return zeroNs + performance.now() * 1e6;
    },
  };
}
