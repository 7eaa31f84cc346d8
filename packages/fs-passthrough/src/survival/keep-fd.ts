/** Hands a descriptor to a store without giving it away. */
import type { DescriptorStore } from '@oriel/fuse';
import { Fd, type SysFd } from '@oriel/sys';

/** @param fd - lent @returns false when it is not kept */
export function keepFd(store: DescriptorStore, sys: Pick<SysFd, 'close' | 'dup'>, name: string, fd: number): boolean {
  const lent = new Fd(sys, fd);
  try {
    return store.keep(name, lent);
  } finally {
    lent.take();
  }
}
