/** The socket file, for an end by force: the device's thread, which owns it, does not get to remove it then. */
import { type BigIntStats, lstatSync, unlinkSync } from 'node:fs';

/** A socket file as it was when the device began to listen. */
export class SocketFile {
  readonly #path: string;
  readonly #identity: BigIntStats | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#identity = look(path);
  }

  /** Removes it, unless it is gone or another program's by now. */
  remove(): void {
    const now = look(this.#path);
    if (now !== undefined && now.dev === this.#identity?.dev && now.ino === this.#identity.ino) {
      unlinkSync(this.#path);
    }
  }
}

function look(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}
