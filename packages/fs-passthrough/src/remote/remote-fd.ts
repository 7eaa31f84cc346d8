/** The system calls on descriptors of a share: as `RemoteFile`. */
import type { Pointer, SysFd } from '@oriel/sys';
import { CALLS, DUP } from './call-shapes.ts';
import type { RemoteRuns } from './remote-runs.ts';

/** What a share needs of `SysFd`. */
export type ShareFd = Pick<SysFd, 'close' | 'dup' | 'pread'> & { closeHeard(fd: number): number };

/** `SysFd`, by where the calls are to be made. */
export class RemoteFd implements ShareFd {
  readonly #here: SysFd;
  readonly #runs: RemoteRuns;

  constructor(here: SysFd, runs: RemoteRuns) {
    this.#here = here;
    this.#runs = runs;
  }

  /** In a run: of a descriptor that the run opened, which is closed at its end; nobody waits for that. */
  close(fd: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.close(fd) : run.drop(fd);
  }

  /** As `close`, with what the file system has to say of it. */
  closeHeard(fd: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.close(fd) : run.call(CALLS.close, [fd]);
  }

  dup(fd: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.dup(fd) : run.callHere(DUP, [fd], () => this.#here.dup(fd));
  }

  /** In a run: the bytes are its `data`. */
  pread(fd: number, to: Pointer, len: number, offset: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.pread(fd, to, len, offset) : run.call(CALLS.pread, [fd, len, offset]);
  }
}
