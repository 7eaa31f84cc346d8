/** Identity and size of an open file, for both sides of a truncation watch. */
import { TWO_32 } from '@oriel/layout';
import { AT_EMPTY_PATH, STATX_BASIC_STATS } from '../constants/file.ts';
import { Statx } from '../layouts.ts';
import type { SysFile } from '../sys.ts';
import type { FileKey } from './slots.ts';

const EMPTY = new Uint8Array(1);

/** Read by one statx; reused. */
export class FileState implements FileKey {
  readonly #file: SysFile;
  readonly #bytes = new Uint8Array(Statx.byteLength);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(file: SysFile) {
    this.#file = file;
  }

  /** @returns 0 or a negative errno */
  read(fd: number): number {
    return this.#file.statx(fd, EMPTY, AT_EMPTY_PATH, STATX_BASIC_STATS, this.#bytes);
  }

  get dev(): number {
    return Statx.stxDevMajor.get(this.#view, 0) * TWO_32 + Statx.stxDevMinor.get(this.#view, 0);
  }

  get inoLo(): number {
    return Statx.stxIno.lo(this.#view, 0);
  }

  get inoHi(): number {
    return Statx.stxIno.hi(this.#view, 0);
  }

  get size(): number {
    return Statx.stxSize.get(this.#view, 0);
  }
}
