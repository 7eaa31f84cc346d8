/** Whose rights a request's system calls run with: this thread's, or, of a call that waits elsewhere, the helper thread's. */
import { EINVAL, isId, type Logger, type SysCred, ThreadRights } from '@oriel/sys';
import { PassthroughError } from './errors.ts';
import type { RemoteRun } from './remote/remote-run.ts';

/** What a helper thread is told in place of an id. */
const AS_IT_IS = -1;

/** The credentials of a share's requests. Only root can switch; for another user everything belongs to that user. */
export class Credentials {
  readonly #rights: ThreadRights;
  readonly #runs: { readonly active: RemoteRun | null };

  /**
   * When root: drops this thread's supplementary groups, which would otherwise help a guest's user.
   * @param ownUmask - a umask will be given, which is to be this thread's alone
   */
  constructor(cred: SysCred, runs: { readonly active: RemoteRun | null }, log: Logger, ownUmask: boolean) {
    this.#runs = runs;
    this.#rights = new ThreadRights(cred);
    const unshared = ownUmask ? this.#rights.ownUmask() : 0;
    if (unshared < 0) {
      log.warn('the umask is that of all threads: what others make meanwhile has the wrong mode', { errno: -unshared });
    }
    const { groupsErrno } = this.#rights;
    if (groupsErrno !== 0) {
      log.warn('supplementary groups cannot be set: creating in a directory by right of one will fail', {
        errno: groupsErrno,
      });
    }
  }

  /**
   * Takes a user's effective ids; `restore` must follow, in a `finally`.
   * @param group - one supplementary group, or -1
   * @param umask - or `ThreadRights.NO_UMASK`
   * @returns 0, or a negative errno with nothing changed (`restore` does no harm)
   */
  become(uid: number, gid: number, group: number, umask: number): number {
    const { active } = this.#runs;
    if (active === null) {
      return this.#rights.become(uid, gid, group, umask);
    }
    if (!isId(uid) || !isId(gid)) {
      return -EINVAL;
    }
    active.rights = { uid, gid, group, umask, dropFsetid: false };
    return 0;
  }

  /** Whose a file is that is made for a user: that user's, or this process's, which cannot switch. */
  owner(uid: number): number {
    return this.#rights.owner(uid);
  }

  /** Takes the thread's own ids back. @throws PassthroughError ERR_PASSTHROUGH_CREDENTIALS: the process must end */
  restore(): void {
    if (this.#runs.active !== null) {
      this.#runs.active.rights = null;
      return;
    }
    const result = this.#rights.restore();
    if (result !== 0) {
      throw new PassthroughError(
        'ERR_PASSTHROUGH_CREDENTIALS',
        `cannot return to uid ${this.#rights.uid}: errno ${-result}`,
      );
    }
  }

  /**
   * Makes a call without CAP_FSETID, so that the kernel clears set-user-ID and set-group-ID bits as it does for any user.
   * @param gid - the file's
   * @returns what `call` returns, or a negative errno when it was not made
   * @throws PassthroughError ERR_PASSTHROUGH_CREDENTIALS: the process must end
   */
  withoutFsetid(gid: number, call: () => number): number {
    const failed = this.#dropFsetid(gid);
    if (failed < 0) {
      return failed;
    }
    try {
      return call();
    } finally {
      this.#regainFsetid();
    }
  }

  #dropFsetid(gid: number): number {
    const { active } = this.#runs;
    if (active === null) {
      return this.#rights.dropFsetid(gid);
    }
    active.rights = { uid: AS_IT_IS, gid, group: AS_IT_IS, umask: ThreadRights.NO_UMASK, dropFsetid: true };
    return 0;
  }

  #regainFsetid(): void {
    if (this.#runs.active !== null) {
      this.#runs.active.rights = null;
      return;
    }
    const result = this.#rights.regainFsetid();
    if (result !== 0) {
      throw new PassthroughError('ERR_PASSTHROUGH_CREDENTIALS', `cannot regain CAP_FSETID: errno ${-result}`);
    }
  }
}
