/** Maps the part of a range that the guest may reach, as the front-end's limits and the tail mode allow. */
import type { ShmRegion } from '@oriel/shm-region';
import { EIO, EOPNOTSUPP, ESTALE, type Logger, type Sys, SysError } from '@oriel/sys';
import type { FileFacts } from './file-facts.ts';
import type { Growth } from './growth.ts';
import { type DaxTail, mappingsPerRange } from './options.ts';
import type { DaxRange } from './range.ts';
import { RangeCopy } from './range-copy.ts';

/** How often a mapping is planned anew because the file changed its size before the request was sent. */
const MOST_PLANS = 4;

export interface MapperOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly facts: FileFacts;
  readonly growth: Growth | null;
  readonly tail: DaxTail;
  readonly log: Logger;
}

export class RangeMapper {
  readonly #options: MapperOptions;
  readonly #mostPieces: number;

  constructor(options: MapperOptions) {
    this.#options = options;
    this.#mostPieces = mappingsPerRange(options.tail);
  }

  /**
   * Makes every byte of the range that lies in the file reachable. `done` gets 0 or a negative errno: -EOPNOTSUPP where the
   * last partial page cannot be mapped, -EIO past the end of the file or refused.
   */
  cover(region: ShmRegion, range: DaxRange, done: (error: number) => void): void {
    this.#plan(region, range, MOST_PLANS, done);
  }

  #plan(region: ShmRegion, range: DaxRange, plans: number, done: (error: number) => void): void {
    const { facts, tail, growth, log } = this.#options;
    const { pageSize, insideFile } = region.limits;
    const inode = range.inode;
    const size = facts.size(inode.fd!.fd);
    if (size < 0) {
      done(size);
      return;
    }
    if (!range.lacks(size, pageSize)) {
      done(range.covered > 0 ? 0 : -EIO);
      return;
    }
    if (plans === 0) {
      done(-EIO);
      return;
    }
    if (!insideFile || range.foffset + range.len <= size) {
      this.#mapFile(region, range, range.len, insideFile, plans, done);
      return;
    }
    if (tail === 'copy') {
      this.#mapCopy(region, range, done);
      return;
    }
    const odd = size % pageSize !== 0;
    if (tail === 'refuse' && !odd && range.pieces + 1 < this.#mostPieces) {
      this.#mapFile(region, range, size - range.foffset, true, plans, done);
      return;
    }
    if (growth !== null && (tail === 'grow' || inode.guestSized)) {
      this.#mapGrown(region, range, growth, done);
      return;
    }
    log.warn('a mapping is refused: the file ends in a part of a page, or grew too often; see --dax-tail', {
      path: inode.path,
      size,
    });
    done(-EOPNOTSUPP);
  }

  /** Maps file bytes from what is covered up to `end` (bytes in the range). */
  #mapFile(
    region: ShmRegion,
    range: DaxRange,
    end: number,
    insideFile: boolean,
    plans: number,
    done: (error: number) => void,
  ): void {
    const { facts } = this.#options;
    const from = range.covered;
    const { fd } = range.inode.fd!;
    // A front-end grows an empty file and refuses a short one, so the size is looked at again just before the request.
    const before = (): number => {
      const size = facts.size(fd);
      if (size < 0) return size;
      return insideFile && range.foffset + end > size ? -ESTALE : 0;
    };
    this.#send(region, range, fd, range.foffset + from, end, before, (error) => {
      if (error === -ESTALE) this.#plan(region, range, plans - 1, done);
      else done(error);
    });
  }

  #mapGrown(region: ShmRegion, range: DaxRange, growth: Growth, done: (error: number) => void): void {
    const inode = range.inode;
    const target = range.foffset + range.len;
    const from = range.foffset + range.covered;
    this.#send(
      region,
      range,
      inode.fd!.fd,
      from,
      range.len,
      () => growth.begin(inode, target),
      (error) => {
        growth.end(inode);
        done(error);
      },
    );
  }

  #mapCopy(region: ShmRegion, range: DaxRange, done: (error: number) => void): void {
    try {
      range.copy ??= new RangeCopy(this.#options.sys, range.foffset, range.len);
    } catch (error) {
      done(error instanceof SysError ? -error.errno : -EIO);
      return;
    }
    const copy = range.copy;
    this.#send(region, range, copy.memfd.fd, 0, range.len, () => copy.load(range.inode.fd!.fd), done);
  }

  #send(
    region: ShmRegion,
    range: DaxRange,
    fd: number,
    fdOffset: number,
    end: number,
    before: () => number,
    done: (error: number) => void,
  ): void {
    const from = range.covered;
    const request = {
      fd,
      fdOffset,
      shmOffset: range.moffset + from,
      len: end - from,
      writable: true,
      owner: range.inode,
      label: range.inode.path,
      before,
    };
    region.map(request, (error) => {
      if (error === 0) {
        range.covered = end;
        range.pieces++;
      }
      done(error);
    });
  }
}
