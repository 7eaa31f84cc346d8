/** Maps the part of a range that the guest may reach, as the front-end's limits and the tail mode allow. */
import type { ShmRegion } from '@oriel/shm-region';
import { EBADF, EIO, EOPNOTSUPP, ESTALE, type Logger, type Sys, SysError } from '@oriel/sys';
import type { FileFacts } from './file-facts.ts';
import type { Growth } from './growth.ts';
import type { DaxInode } from './inode.ts';
import { type DaxTail, mappingsPerRange } from './options.ts';
import type { DaxRange } from './range.ts';
import { RangeCopy } from './range-copy.ts';
import { SparseLog } from './sparse-log.ts';

/** How often a mapping is planned anew because the file changed its size before the request was sent. */
const MOST_PLANS = 4;

export interface MapperOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly facts: FileFacts;
  readonly growth: Growth | null;
  readonly tail: DaxTail;
  /** Others are kept from cutting a file below what is mapped of it. */
  readonly guarded: boolean;
  readonly log: Logger;
}

/** What part of a range is asked for, and the check just before the request is sent. */
interface Piece {
  readonly fd: number;
  readonly fdOffset: number;
  /** Where the piece ends, bytes in the range. It begins at what is covered. */
  readonly end: number;
  readonly before: () => number;
}

/** 0 or a negative errno. */
type Done = (error: number) => void;

export class RangeMapper {
  readonly #options: MapperOptions;
  readonly #mostPieces: number;
  readonly #refused: SparseLog;

  constructor(options: MapperOptions) {
    this.#options = options;
    this.#mostPieces = mappingsPerRange(options.tail);
    this.#refused = new SparseLog(
      options.log,
      'warn',
      'a mapping is refused: the file ends in a part of a page, or grew too often; see --dax-tail',
    );
  }

  /**
   * Makes every byte of the range that lies in the file reachable. `done` gets 0 or a negative errno: -EOPNOTSUPP where the
   * last partial page cannot be mapped, -EIO past the end of the file or refused, -EBADF for an inode that is gone.
   */
  cover(region: ShmRegion, range: DaxRange, done: Done): void {
    this.#plan(region, range, MOST_PLANS, done);
  }

  #plan(region: ShmRegion, range: DaxRange, plans: number, done: Done): void {
    const { facts, tail, growth } = this.#options;
    const { pageSize, insideFile } = region.limits;
    const inode = range.inode;
    if (inode.gone || inode.fd === null) {
      done(-EBADF);
      return;
    }
    if (range.covered === range.len) {
      done(0);
      return;
    }
    const size = inode.limit(facts.size(inode.fd.fd), pageSize);
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
    const look: Done = (error) => {
      const again = error === -ESTALE || (error === 0 && range.lacks(range.told, pageSize));
      if (again) this.#plan(region, range, plans - 1, done);
      else done(error);
    };
    if (range.foffset + range.len <= size || !this.#staysInside(region, inode)) {
      this.#mapFile(region, range, range.len, look);
    } else if (!insideFile) this.#mapFile(region, range, Math.ceil(size / pageSize) * pageSize - range.foffset, look);
    else if (tail === 'copy') this.#mapCopy(region, range, done);
    else if (tail === 'refuse' && size % pageSize === 0 && range.pieces + 1 < this.#mostPieces) {
      this.#mapFile(region, range, size - range.foffset, look);
    } else if (growth !== null && !inode.cutByOthers && (tail === 'grow' || inode.guestSized)) {
      growth.claim(inode, () => this.#mapGrown(region, range, growth, look));
    } else {
      this.#refused.add({ path: inode.path, size });
      done(-EOPNOTSUPP);
    }
  }

  /**
   * Whether mappings of a file must end with it. Under a guard also where the front-end bears more: a guest that has not heard
   * of a truncation would reach behind the end. It knows the size of a file that it changes itself.
   */
  #staysInside(region: ShmRegion, inode: DaxInode): boolean {
    if (region.limits.insideFile || inode.cutByOthers || inode.cuts.size > 0) return true;
    return this.#options.guarded && !inode.guestSized;
  }

  /** Maps file bytes from what is covered up to `end` (bytes in the range). */
  #mapFile(region: ShmRegion, range: DaxRange, end: number, done: Done): void {
    const { facts } = this.#options;
    const { fd } = range.inode.fd!;
    // A front-end grows an empty file and refuses a short one, so the size is looked at again just before the request.
    const before = (): number => {
      const { insideFile, pageSize } = region.limits;
      const size = range.inode.limit(facts.size(fd), pageSize);
      if (size < 0) return size;
      if (!this.#staysInside(region, range.inode)) return 0;
      return range.foffset + end > (insideFile ? size : Math.ceil(size / pageSize) * pageSize) ? -ESTALE : 0;
    };
    send(region, range, { fd, fdOffset: range.foffset + range.covered, end, before }, done);
  }

  #mapGrown(region: ShmRegion, range: DaxRange, growth: Growth, done: Done): void {
    if (range.inode.gone) {
      growth.end();
      done(-EBADF);
      return;
    }
    const { fd } = range.inode.fd!;
    const from = range.foffset + range.covered;
    const before = (): number => growth.begin(from, range.foffset + range.len);
    send(region, range, { fd, fdOffset: from, end: range.len, before }, (error) => {
      growth.end();
      done(error);
    });
  }

  #mapCopy(region: ShmRegion, range: DaxRange, done: Done): void {
    try {
      range.copy ??= new RangeCopy(this.#options.sys, range.foffset, range.len);
    } catch (error) {
      done(error instanceof SysError ? -error.errno : -EIO);
      return;
    }
    const copy = range.copy;
    const file = range.inode.fd!.fd;
    const piece = { fd: copy.memfd.fd, fdOffset: 0, end: range.len, before: () => copy.load(file) };
    // Once more after the answer: what was written to the file meanwhile has not reached a copy that nobody knew of.
    send(region, range, piece, (error) => done(error === 0 ? copy.load(file) : error));
  }
}

/** Asks for one mapping of a range. */
function send(region: ShmRegion, range: DaxRange, { fd, fdOffset, end, before }: Piece, done: Done): void {
  const request = {
    fd,
    fdOffset,
    shmOffset: range.moffset + range.covered,
    len: end - range.covered,
    writable: true,
    owner: range.inode,
    label: range.inode.path,
    before: () => {
      range.asks(end);
      return before();
    },
  };
  region.map(request, (error) => {
    if (error === 0) {
      range.has(range.pieces + 1, end);
    }
    range.asks(0);
    done(error);
  });
}
