/** Who removes the socket files of a process that cannot reach them any more: a shell outside, told at the end. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { check, EINTR, EPOLL_CTL_ADD, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import { explain } from '../explain.ts';
import { type Outsider, startOutsider } from './outsider.ts';

/** node:fs lacks it. */
const O_PATH = 0x200000;
/** The descriptor that a program gets first beside its standard ones. */
const FIRST_MORE = 3;

/**
 * Reads one line a socket file, its device and inode, and removes the file if it is still that one. It says so with a line, and
 * ends without all that when its writer is gone: whoever starts the program again goes on with the files.
 */
const SCRIPT =
  "trap '' TERM INT HUP; " +
  'for f do read -r id || exit 0; [ "$(stat -c %d:%i -- "$f" 2>/dev/null)" = "$id" ] && rm -f -- "$f"; done; echo';

const GONE = 'who removes them has gone';

/** The cleaner as its process has it. */
export interface Cleaner extends Outsider {
  /** Has a line when it is done, and hangs up when it has ended. */
  readonly reply: number;
}

/** The directory of a file, whatever leads there later; null where there is none, which binding the socket will say. */
function directoryOf(path: string): number | null {
  try {
    return openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
  } catch {
    return null;
  }
}

/** @param sockets - paths of the files @throws SysError, Error */
export function startCleaner(sys: Pick<Sys, 'fd'>, sockets: readonly string[]): Cleaner {
  const reply = new Int32Array(2);
  check(sys.fd.pipe(reply), 'pipe2');
  const directories: number[] = [];
  const files = sockets.map((path) => {
    const directory = directoryOf(path);
    if (directory === null) return path;
    return `/proc/self/fd/${FIRST_MORE + directories.push(directory) - 1}/${basename(path)}`;
  });
  const outsider = startOutsider(sys, ['/bin/sh', '-c', SCRIPT, 'sh', ...files], reply[1]!, directories);
  for (const fd of [reply[1]!, ...directories]) closeSync(fd);
  return { ...outsider, reply: reply[0]! };
}

/** @returns false when it has neither answered nor ended by then @throws SysError EMFILE */
function hasReply(sys: Pick<Sys, 'fd' | 'loop'>, { reply }: Cleaner, limitMs: number): boolean {
  using epoll = new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
  check(sys.loop.epollCtl(epoll.fd, EPOLL_CTL_ADD, reply, EPOLLIN, 0), 'epoll_ctl');
  const until = performance.now() + limitMs;
  for (let leftMs = limitMs; leftMs > 0; leftMs = Math.ceil(until - performance.now())) {
    const ready = sys.loop.epollWait(epoll.fd, leftMs, new Uint32Array(1), new Float64Array(1));
    if (ready !== -EINTR) return check(ready, 'epoll_pwait') > 0;
  }
  return false;
}

/**
 * Has files removed.
 * @param identities - device:inode of each, as `stat -c %d:%i` prints it
 * @param limitMs - it is waited no longer; the cleaner goes on
 * @returns what went wrong, for a person; null: they are removed
 */
export function tellCleaner(
  sys: Pick<Sys, 'fd' | 'loop'>,
  cleaner: Cleaner,
  identities: readonly string[],
  limitMs: number,
): string | null {
  try {
    writeSync(cleaner.fd, identities.map((one) => `${one}\n`).join(''));
    if (!hasReply(sys, cleaner, limitMs)) return `who removes them has not done so within ${limitMs} ms`;
    return sys.fd.read(cleaner.reply, new Uint8Array(1), 1) === 1 ? null : GONE;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPIPE'
      ? GONE
      : `who removes them is not told (${explain(error)})`;
  }
}
