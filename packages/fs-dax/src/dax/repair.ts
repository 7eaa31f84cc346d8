/** Shortens a file that a killed process left grown. */
import {
  AT_FDCWD,
  Fd,
  type Logger,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  type Sys,
} from '@oriel/sys';
import { FileFacts, sameFile } from './file-facts.ts';
import type { GrownFile } from './grow-record.ts';
import { holdsData } from './grown-part.ts';

/**
 * Brings a grown file back to its true size, when the file at the recorded path is that file and still has the grown size.
 * A file of any other size was not grown yet, or changed by someone since, as was one with data behind its true end: it is
 * left alone.
 * @returns true when nothing is left to do, false when the file cannot be found or mended (said in the log)
 */
export function repairGrown(
  sys: Pick<Sys, 'mem' | 'fd' | 'file'>,
  sharedDir: string,
  file: GrownFile,
  log: Logger,
): boolean {
  const { path, trueSize, grownSize } = file;
  // It had no name when it was grown, and went with the last process that had it open.
  if (path === '') return true;
  const encoder = new TextEncoder();
  const root = sys.file.openat(AT_FDCWD, encoder.encode(`${sharedDir}\0`), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (root < 0) {
    log.error('the share cannot be opened to look for a file that was left grown', { sharedDir, errno: -root });
    return false;
  }
  using rootFd = new Fd(sys.fd, root);
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const opened = sys.file.openat2(rootFd.fd, encoder.encode(`${path}\0`), flags, 0, resolve);
  if (opened < 0) {
    log.error('a file may still be longer than it was: it cannot be opened at the path of the crash record', {
      path,
      errno: -opened,
      trueSize,
      grownSize,
    });
    return false;
  }
  using fd = new Fd(sys.fd, opened);
  using facts = new FileFacts(sys);
  const size = facts.size(fd.fd);
  if (!sameFile(facts.identity, file.identity)) {
    log.error('a file may still be longer than it was: another file stands at the path of the crash record', {
      path,
      trueSize,
      grownSize,
    });
    return false;
  }
  if (size !== grownSize) return true;
  if (holdsData(sys, fd.fd, trueSize, grownSize)) {
    log.error('a killed process left a file grown, and another wrote behind its end since: it is left as it is', {
      path,
      trueSize,
      grownSize,
    });
    return true;
  }
  const result = sys.file.ftruncate(fd.fd, trueSize);
  if (result < 0) {
    log.error('a file that a killed process left grown cannot be shortened', { path, errno: -result });
    return false;
  }
  log.warn('shortened a file that a killed process left grown', { path, size: trueSize });
  return true;
}
