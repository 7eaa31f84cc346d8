/** The file behind a disk. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { check, LOCK_EX, LOCK_NB, LOCK_SH, type Sys } from '@oriel/sys';
import { SECTOR } from './layout.ts';

export interface ImageOptions {
  /** Default false. */
  readonly readOnly?: boolean;
}

/** An open image, locked against a second writer. */
export class Image implements Disposable {
  readonly fd: number;
  readonly readOnly: boolean;
  /** Whole sectors of the file; fixed while it is open. */
  readonly sectors: number;

  /** @throws Error as node:fs does; SysError EWOULDBLOCK when another process has it; RangeError for no regular file */
  constructor(sys: Sys, path: string, { readOnly = false }: ImageOptions = {}) {
    this.readOnly = readOnly;
    this.fd = openSync(path, readOnly ? 'r' : 'r+');
    try {
      const stat = fstatSync(this.fd);
      if (!stat.isFile() || stat.size < SECTOR) {
        throw new RangeError(`${path}: want a regular file of at least ${SECTOR} bytes`);
      }
      check(sys.file.flock(this.fd, (readOnly ? LOCK_SH : LOCK_EX) | LOCK_NB), 'flock');
      this.sectors = Math.floor(stat.size / SECTOR);
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
