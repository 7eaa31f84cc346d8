/**
 * The last proof that pages are gone: the front-end's address space. QEMU answers an unmap request and updates its memory table
 * while a vCPU that it emulates may still be at the old mapping for some milliseconds; it takes that down when none is.
 */
import type { EventLoop } from '@oriel/sys';
import type { GuardHost } from './guard-host.ts';

/** How often it is looked, ms. */
const LOOK_MS = 1;

export class FrontEndMaps {
  readonly #host: GuardHost;
  readonly #loop: EventLoop;
  readonly #pid: number;

  /** @param pid - of the front-end; 0: unknown, its answers are proof enough */
  constructor(host: GuardHost, loop: EventLoop, pid: number) {
    this.#host = host;
    this.#loop = loop;
    this.#pid = pid;
  }

  /**
   * Looks at what is mapped, before some of it is unmapped.
   * @param offset - in the file, bytes: only what lies behind it counts
   * @param bytes - how many of those are going to be unmapped
   * @returns a wait for their end, or null when they cannot be seen there
   */
  expect(fd: number, offset: number, bytes: number): FrontEndWait | null {
    if (this.#pid === 0) return (_open, done) => done();
    const name = this.#host.nameInMaps(fd);
    const most = this.#host.mappedBytesBehind(this.#pid, name, offset) - bytes;
    if (most < 0) return null;
    const wait: FrontEndWait = (open, done) => {
      if (!open()) return;
      const now = this.#host.mappedBytesBehind(this.#pid, name, offset);
      // A process that is gone has nothing mapped.
      if (now <= most) done();
      else this.#loop.timer(LOOK_MS, () => wait(open, done));
    };
    return wait;
  }
}

/** Calls `done` once the bytes are gone, now or later, unless `open` says that nobody waits any more. */
export type FrontEndWait = (open: () => boolean, done: () => void) => void;
