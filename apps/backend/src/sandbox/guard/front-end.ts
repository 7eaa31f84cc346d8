/** The process that a device's guest lives in, as the kernel knows it: a device that is not itself any more cannot name another. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { mappedBytesBehind, type Sys } from '@oriel/sys';

/** node:fs lacks it. */
const O_PATH = 0x200000;

/** Whoever connected. */
export class FrontEnd implements Disposable {
  readonly #pid: number;
  /** Its /proc/PID: nothing is in there once it has ended, also when another process has its number. */
  readonly #proc: number;

  private constructor(pid: number, proc: number) {
    this.#pid = pid;
    this.#proc = proc;
  }

  /** @param socket - of the connection, lent @returns null when the kernel names nobody, or nobody who still is */
  static at({ socket: { peerPid } }: Pick<Sys, 'socket'>, socket: number): FrontEnd | null {
    const pid = peerPid(socket);
    if (pid <= 0) return null;
    try {
      return new FrontEnd(pid, openSync(`/proc/${pid}`, O_PATH | constants.O_DIRECTORY));
    } catch {
      return null;
    }
  }

  /** See `mappedBytesBehind`. */
  mappedBytesBehind(name: string, offset: number): number {
    return existsSync(`/proc/self/fd/${this.#proc}/maps`) ? mappedBytesBehind(this.#pid, name, offset) : -1;
  }

  [Symbol.dispose](): void {
    closeSync(this.#proc);
  }
}
