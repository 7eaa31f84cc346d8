/**
 * The eventfds of a ring. The kernel's vhost takes nothing else either: a ring's call and error descriptors are written to
 * with the back-end's rights, which may be more than those of the front-end that opened them.
 */
import { AT_FDCWD, type Sys } from '@oriel/sys';

const EVENTFD = 'anon_inode:[eventfd]';

/** True for an eventfd, and where there is no /proc to tell. */
export function isEventfd(sys: Pick<Sys, 'file'>, fd: number): boolean {
  const link = new TextEncoder().encode(`/proc/self/fd/${fd}\0`);
  const name = new Uint8Array(EVENTFD.length + 1);
  const len = sys.file.readlinkat(AT_FDCWD, link, name, name.length);
  return len < 0 || new TextDecoder().decode(name.subarray(0, len)) === EVENTFD;
}
