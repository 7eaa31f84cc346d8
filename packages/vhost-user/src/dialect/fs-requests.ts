/** FS_SYNC and FS_IO: what the virtio-fs dialect has beside mappings. */
import { ECANCELED, EIO, EOPNOTSUPP, type EventLoop } from '@oriel/sys';
import type { BackChannel } from '../backend/back-channel.ts';
import { encodeFsRange, type FsForm, type FsRange } from './fs-encode.ts';
import { FS_MESSAGES } from './fs-messages.ts';

/** What the requests need of the connection. */
export interface FsRequestsOptions {
  readonly form: FsForm;
  readonly loop: EventLoop;
  readonly backChannel: BackChannel;
  /** Negotiated, and between start and stop of the rings. */
  readonly ready: () => boolean;
}

/** Requests of the dialect; `done` comes once, never inside the call. Lengths and offsets are bytes. */
export class FsRequests {
  readonly #options: FsRequestsOptions;

  constructor(options: FsRequestsOptions) {
    this.#options = options;
  }

  /**
   * FS_SYNC: writes a range of the window back to its files.
   * @param done - 0, a negative errno of the front-end, -EOPNOTSUPP in form 2, -ECANCELED when it was not sent
   */
  sync(cOffset: number, len: number, done: (error: number) => void): void {
    const { form, loop, backChannel } = this.#options;
    const { sync } = FS_MESSAGES[form];
    if (sync === null || !this.#options.ready()) {
      loop.defer(() => done(sync === null ? -EOPNOTSUPP : -ECANCELED));
      return;
    }
    const payload = encodeFsRange(form, { fdOffset: 0, cOffset, len, access: 'none' });
    backChannel.request({ spec: sync, payload, fd: -1, done, result: statusOf });
  }

  /**
   * FS_IO: the front-end moves bytes between a file and guest memory that this process cannot reach.
   * @param range - `cOffset` is a GPA; access 'read': from the file into the guest
   * @param fd - lent until `done`
   * @param done - bytes moved, at most `range.len`; or a negative errno of the front-end, -ECANCELED when it was not sent
   */
  io(range: FsRange, fd: number, done: (result: number) => void): void {
    const { form, loop, backChannel } = this.#options;
    if (!this.#options.ready()) {
      loop.defer(() => done(-ECANCELED));
      return;
    }
    const payload = encodeFsRange(form, range);
    const result = (lo: number, hi: number) => countOf(lo, hi, range.len);
    backChannel.request({ spec: FS_MESSAGES[form].io, payload, fd, done, result });
  }
}

const ERRNO_MAX = 4095;

/** The errno of an answer that is a negated one; 0 for none. */
function errnoOf(lo: number, hi: number): number {
  const value = lo | 0;
  return hi === 0xffff_ffff && value < 0 && value >= -ERRNO_MAX ? value : 0;
}

function statusOf(lo: number, hi: number): number {
  return lo === 0 && hi === 0 ? 0 : errnoOf(lo, hi) || -EIO;
}

/** More bytes than asked for is no answer to the question. */
function countOf(lo: number, hi: number, most: number): number {
  return hi === 0 && lo <= most ? lo : errnoOf(lo, hi) || -EIO;
}
