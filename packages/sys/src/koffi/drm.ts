/** The DRM slice: ioctl(2) by number on a structure of the caller's. */
import { EAGAIN, EINTR } from '../constants/errno.ts';
import type { SysDrm } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';

export function openDrm(): SysDrm {
  const { ioctl } = SYS;
  const iip = rawCall('iip');
  return {
    ioctl(fd, request, argument) {
      for (;;) {
        const result = iip(ioctl, fd, request, argument);
        if (result !== -1) return result;
        const error = errno();
        if (error !== EINTR && error !== EAGAIN) return -error;
      }
    },
  };
}
