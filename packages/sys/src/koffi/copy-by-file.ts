/** A checked copy for sandboxes that forbid process_vm_readv: into a memfd and out of it, the kernel checks both ways. */
import { MFD_CLOEXEC } from '../constants/memory.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';

const CHUNK_LEN = 1 << 20;
const NAME = new TextEncoder().encode('oriel-copy\0');

/** See `SysMem.copyChecked`. @returns bytes copied, or a negative errno when there are none */
export function copyByFile(to: number, from: number, len: number): number {
  const move = rawCall('ipii');
  const fd = rawCall('pi')(SYS.memfd_create, NAME, MFD_CLOEXEC);
  if (fd === -1) {
    return -errno();
  }
  let done = 0;
  let error = 0;
  while (done < len) {
    const count = move(SYS.pwrite64, fd, from + done, Math.min(len - done, CHUNK_LEN), 0);
    const copied = count === -1 ? -1 : move(SYS.pread64, fd, to + done, count, 0);
    if (copied === -1) {
      error = errno();
      break;
    }
    done += copied;
    if (copied < count) {
      break;
    }
  }
  rawCall('i')(SYS.close, fd);
  return done > 0 ? done : -error;
}
