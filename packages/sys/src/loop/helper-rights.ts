/** Jobs of a helper thread that run with other rights than its own. */
import type { JobRights } from '../event-loop.ts';
import { openCred } from '../koffi/cred.ts';
import { Scratch } from '../koffi/scratch.ts';
import { ThreadRights } from '../thread-rights.ts';

/** Takes rights for one system call, and gives them back. */
export class HelperRights {
  readonly #rights = new ThreadRights(openCred(new Scratch()));
  #umaskErrno: number | null = null;

  /**
   * Runs a call.
   * @returns what it returned, or a negative errno when the rights cannot be had
   * @throws Error when the thread cannot take its own back: the process must end
   */
  run({ uid, gid, group, umask, dropFsetid }: JobRights, call: () => number): number {
    const rights = this.#rights;
    if (umask !== ThreadRights.NO_UMASK) {
      // Threads begin with the umask of the one that started them.
      this.#umaskErrno ??= rights.ownUmask();
      if (this.#umaskErrno < 0) {
        return this.#umaskErrno;
      }
    }
    const dropped = dropFsetid ? rights.dropFsetid(gid) : 0;
    if (dropped < 0) {
      return dropped;
    }
    const became = uid < 0 ? 0 : rights.become(uid, gid, group, umask);
    const result = became < 0 ? became : call();
    const failed = dropFsetid ? rights.regainFsetid() : rights.restore();
    if (failed < 0) {
      throw new Error(`a helper thread cannot return to uid ${rights.uid}: errno ${-failed}`);
    }
    return result;
  }
}
