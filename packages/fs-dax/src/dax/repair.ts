/** Shortens a file that a killed process left grown. */
import {
  AT_FDCWD,
  Fd,
  type Logger,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  type Sys,
} from '@oriel/sys';
import { FileFacts, sameFile } from './file-facts.ts';
import type { GrownFile } from './grow-record.ts';

/**
 * Brings a grown file back to its true size, when the file at the recorded path is that file and still has the grown size.
 * A file of any other size was not grown yet, or changed by someone since: it is left alone.
 * @returns true when nothing is left to do, false when the file cannot be found or mended (said in the log)
 */
export function repairGrown(
  sys: Pick<Sys, 'mem' | 'fd' | 'file'>,
  sharedDir: string,
  file: GrownFile,
  log: Logger,
): boolean {
  const encoder = new TextEncoder();
  const root = sys.file.openat(AT_FDCWD, encoder.encode(`${sharedDir}\0`), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (root < 0) return false;
  using rootFd = new Fd(sys.fd, root);
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
  const opened = sys.file.openat2(rootFd.fd, encoder.encode(`${file.path}\0`), flags, 0, resolve);
  if (opened < 0) {
    log.error('a file may still be longer than it was: it cannot be opened at the path of the crash record', {
      path: file.path,
      errno: -opened,
      trueSize: file.trueSize,
      grownSize: file.grownSize,
    });
    return false;
  }
  using fd = new Fd(sys.fd, opened);
  using facts = new FileFacts(sys);
  const size = facts.size(fd.fd);
  if (!sameFile(facts.identity, file.identity)) {
    log.error('a file may still be longer than it was: another file stands at the path of the crash record', {
      path: file.path,
      trueSize: file.trueSize,
      grownSize: file.grownSize,
    });
    return false;
  }
  if (size !== file.grownSize) return true;
  const result = sys.file.ftruncate(fd.fd, file.trueSize);
  if (result < 0) {
    log.error('a file that a killed process left grown cannot be shortened', { path: file.path, errno: -result });
    return false;
  }
  log.warn('shortened a file that a killed process left grown', { path: file.path, size: file.trueSize });
  return true;
}
