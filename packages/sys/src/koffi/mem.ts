/** The memory slice. */

import { EINVAL, ENOSYS, EPERM } from '../constants/errno.ts';
import { F_ADD_SEALS, F_GET_SEALS } from '../constants/fcntl.ts';
import { Iovec } from '../layouts.ts';
import type { SysMem } from '../sys.ts';
import { SysError } from '../sys-error.ts';
import { copyByFile } from './copy-by-file.ts';
import { errno, koffi, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

/** User space ends here on both hosts (47 bits of address). */
const USER_END = 2 ** 47;

/** @param scratch - memory for the arguments of `copyChecked` */
export function openMem(scratch: Scratch): SysMem {
  const { mmap, munmap, madvise, memfd_create, fcntl, process_vm_readv } = SYS;
  const iii = rawCall('iii');
  const pi = rawCall('pi');
  const ii = rawCall('ii');
  const vmReadv = rawCall('ipipii');
  const map = rawCall('iiiiii');
  const getpagesize = koffi().load(null).func('getpagesize', 'int', []);
  const pid = process.pid;
  const view = scratch.view;
  const target = scratch.take(Iovec.byteLength);
  const source = scratch.take(Iovec.byteLength);
  let vmReadable = true;

  return {
    pageSize: getpagesize() as number,
    mmap(addr, len, prot, flags, fd, offset) {
      const result = map(mmap, addr, len, prot, flags, fd, offset);
      return result === -1 ? -errno() : result;
    },
    munmap(addr, len) {
      return ii(munmap, addr, len) === -1 ? -errno() : 0;
    },
    madvise(addr, len, advice) {
      return iii(madvise, addr, len, advice) === -1 ? -errno() : 0;
    },
    memfdCreate(name, flags) {
      if (name.includes('\0')) {
        return -EINVAL;
      }
      const result = pi(memfd_create, new TextEncoder().encode(`${name}\0`), flags);
      return result === -1 ? -errno() : result;
    },
    addSeals(fd, seals) {
      return iii(fcntl, fd, F_ADD_SEALS, seals) === -1 ? -errno() : 0;
    },
    getSeals(fd) {
      const result = iii(fcntl, fd, F_GET_SEALS, 0);
      return result === -1 ? -errno() : result;
    },
    view(addr, len) {
      // koffi aborts the process on a null view: nothing that is no mapping may reach it.
      if (!(Number.isSafeInteger(addr) && Number.isSafeInteger(len) && addr > 0 && len > 0 && len <= USER_END - addr)) {
        throw new SysError(EINVAL, 'view');
      }
      return koffi().view(addr, len);
    },
    detach(buffer) {
      if (!buffer.detached) {
        buffer.transfer(0);
      }
    },
    copyChecked(to, from, len) {
      if (vmReadable) {
        Iovec.iovBase.set(view, target.base, to);
        Iovec.iovLen.set(view, target.base, len);
        Iovec.iovBase.set(view, source.base, from);
        Iovec.iovLen.set(view, source.base, len);
        const result = vmReadv(process_vm_readv, pid, target.addr, 1, source.addr, 1, 0);
        if (result !== -1) {
          return result;
        }
        const error = errno();
        if (error !== EPERM && error !== ENOSYS) {
          return -error;
        }
        vmReadable = false;
      }
      return copyByFile(to, from, len);
    },
  };
}
