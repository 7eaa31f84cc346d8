/** Files that are never seen half written. */
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What a screen shows is for the user who serves it. */
const OWNER_ONLY = 0o600;

/** Writes a new file beside `path` and puts it in its place. @throws SystemError; nothing is left then */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const fresh = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  // Of an earlier process with this id, that was killed meanwhile.
  rmSync(fresh, { force: true });
  const fd = openSync(fresh, 'wx', OWNER_ONLY);
  try {
    try {
      writeFileSync(fd, bytes);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}
