/** Tells whether a write to the end of a file was done by a process that ended. */
import type { Intent, IoVector } from '@oriel/fuse';
import { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDONLY } from '@oriel/sys';
import type { Share } from '../share.ts';

const CHUNK = 64 * 1024;
const READ_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

/** Recognises appended data by where it stands and what it is. */
export class OwnAppends {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  /**
   * Notes where data is about to be appended; of a request that is done anew, looks whether it stands there. A part of it is
   * made whole.
   * @returns bytes that stand in the file; 0: the data is to be appended; or a negative errno
   */
  appended(intent: Intent, fd: number, io: IoVector): number {
    const { file, status } = this.#share;
    const failed = status.ofFd(fd);
    if (failed < 0) {
      return failed;
    }
    const { size } = status;
    const start = intent.number;
    if (
      intent.again &&
      intent.hasNumber &&
      size > start &&
      this.#stands(fd, start, Math.min(io.len, size - start), io)
    ) {
      return size - start >= io.len ? io.len : file.pwritev2(fd, io.addr, io.count, start, 0);
    }
    intent.number = size;
    return 0;
  }

  /**
   * True when the first `len` bytes of the data are what the file has from `start` on.
   * @param fd - may be for writing only, or want aligned buffers: the file is opened once more to be read
   */
  #stands(fd: number, start: number, len: number, io: IoVector): boolean {
    const { fd: sysFd, file, inodes, procFd } = this.#share;
    const reader = file.openat(procFd, inodes.names.number(fd), READ_FLAGS, 0);
    if (reader < 0) {
      return false;
    }
    const stands = this.#isRead(reader, start, len, io);
    sysFd.close(reader);
    return stands;
  }

  #isRead(reader: number, start: number, len: number, io: IoVector): boolean {
    const data = new Uint8Array(Math.min(len, CHUNK));
    const there = new Uint8Array(data.length);
    for (let at = 0; at < len; at += data.length) {
      const part = Math.min(data.length, len - at);
      const got = this.#share.fd.pread(reader, there, part, start + at);
      if (io.read(at, data, 0, part) !== part || got !== part) {
        return false;
      }
      for (let index = 0; index < part; index++) {
        if (data[index] !== there[index]) {
          return false;
        }
      }
    }
    return true;
  }
}
