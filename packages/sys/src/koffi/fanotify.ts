/** The fanotify slice. Events are read, and responses written, as on any descriptor. */
import type { SysFanotify } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';

export function openFanotify(): SysFanotify {
  const { fanotify_init, fanotify_mark, gettid } = SYS;
  const none = rawCall('');
  const ii = rawCall('ii');
  const iiiii = rawCall('iiiii');

  return {
    init(flags, eventFlags) {
      const result = ii(fanotify_init, flags, eventFlags);
      return result === -1 ? -errno() : result;
    },
    markFd(group, flags, mask, fd) {
      return iiiii(fanotify_mark, group, flags, mask, fd, 0) === -1 ? -errno() : 0;
    },
    gettid: () => none(gettid),
  };
}
