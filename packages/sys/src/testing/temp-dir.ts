/** Temporary directories with an owner. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fresh directory; disposing it removes it with all that is in it. */
export interface TempDir extends Disposable {
  readonly path: string;
}

/** Makes a directory under the system's temporary directory. @param prefix - begins its name */
export function tempDir(prefix = 'oriel-'): TempDir {
  const path = mkdtempSync(join(tmpdir(), prefix));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
