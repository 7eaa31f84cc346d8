/** The socket at which a compositor accepts guests. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AT_FDCWD, AT_REMOVEDIR, Fd, O_CLOEXEC, O_NOFOLLOW, O_PATH, type Sys } from '@oriel/sys';

const BACKLOG = 128;
const OWNER_ONLY = 0o600;
const OWNER_FOLDER = 0o700;

/** A listening socket without a name, and the pipe by whose end the compositor knows that it is over. */
export class NamelessListener implements Disposable {
  readonly #file: Fd;
  readonly #listen: Fd;
  readonly #closeReader: Fd;
  readonly #closeWriter: Fd;

  private constructor(file: Fd, listen: Fd, closeReader: Fd, closeWriter: Fd) {
    this.#file = file;
    this.#listen = listen;
    this.#closeReader = closeReader;
    this.#closeWriter = closeWriter;
  }

  /**
   * @param directory - where a folder of our own, with the socket in it, can be for a moment
   * @returns a negative errno where it cannot be made
   */
  static open(sys: Sys, directory: string): NamelessListener | number {
    const folder = join(directory, `oriel-${randomBytes(8).toString('hex')}`);
    const error = sys.file.mkdirat(AT_FDCWD, cString(folder), OWNER_FOLDER);
    if (error < 0) return error;
    try {
      return NamelessListener.#openIn(sys, join(folder, 'wayland'));
    } finally {
      sys.file.unlinkat(AT_FDCWD, cString(folder), AT_REMOVEDIR);
    }
  }

  static #openIn(sys: Sys, path: string): NamelessListener | number {
    const listening = sys.socket.listenUnix(path, OWNER_ONLY, -1, BACKLOG);
    if (listening < 0) return listening;
    const listen = new Fd(sys.fd, listening);
    const opened = sys.file.openat(AT_FDCWD, cString(path), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    // Nobody else is to find it: contexts come by the descriptor.
    sys.file.unlinkat(AT_FDCWD, cString(path), 0);
    const ends = new Int32Array(2);
    const piped = opened < 0 ? opened : sys.fd.pipe(ends);
    if (piped < 0) {
      listen.close();
      if (opened >= 0) sys.fd.close(opened);
      return piped;
    }
    return new NamelessListener(new Fd(sys.fd, opened), listen, new Fd(sys.fd, ends[0]!), new Fd(sys.fd, ends[1]!));
  }

  /** A path that leads to it, for this process. */
  get address(): string {
    return `/proc/self/fd/${this.#file.fd}`;
  }

  get listenFd(): number {
    return this.#listen.fd;
  }

  get closeFd(): number {
    return this.#closeReader.fd;
  }

  /** The compositor has its own descriptors of these: ours would keep the socket alive when it dies. */
  given(): void {
    this.#listen.close();
    this.#closeReader.close();
  }

  [Symbol.dispose](): void {
    for (const fd of [this.#file, this.#listen, this.#closeReader, this.#closeWriter]) fd.close();
  }
}

function cString(path: string): Uint8Array {
  return new TextEncoder().encode(`${path}\0`);
}
