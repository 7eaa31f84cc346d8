/**
 * Whose rights a system call runs with. A file that a guest's user creates must belong to that user, so the thread takes
 * the user's effective ids for the one call that creates it, and takes its own back at once: nothing else may run in
 * between. Only the calling thread changes.
 */
import { CAP_FSETID, CLONE_FS, EINVAL, type Logger, type SysCred } from '@oriel/sys';
import { PassthroughError } from './errors.ts';

/** What setresuid takes for "leave it"; as an id it means nothing and is refused. */
const NO_ID = 0xffff_ffff;
const KEEP = -1;
/** In place of a umask: leave it as it is. */
export const NO_UMASK = -1;
const FSETID_BIT = 1 << CAP_FSETID;

/** The credentials of this thread. Only root can switch; for another user everything belongs to that user. */
export class Credentials {
  readonly #cred: SysCred;
  readonly #uid: number;
  readonly #gid: number;
  readonly #isRoot: boolean;
  readonly #group = new Uint32Array(1);
  readonly #noGroups = new Uint32Array(0);
  readonly #canSetGroups: boolean;
  /** Effective capabilities, low and high. */
  readonly #capabilities = new Uint32Array(2);
  readonly #hasFsetid: boolean;
  #switchedUid = false;
  #switchedGid = false;
  #switchedGroup = false;
  #umask = NO_UMASK;

  /**
   * When root: drops this thread's supplementary groups, which would otherwise help a guest's user.
   * @param ownUmask - a umask will be given, which is to be this thread's alone
   */
  constructor(cred: SysCred, log: Logger, ownUmask: boolean) {
    this.#cred = cred;
    const unshared = ownUmask ? cred.unshare(CLONE_FS) : 0;
    if (unshared < 0) {
      log.warn('the umask is that of all threads: what others make meanwhile has the wrong mode', { errno: -unshared });
    }
    this.#uid = cred.geteuid();
    this.#gid = cred.getegid();
    this.#isRoot = this.#uid === 0;
    const dropped = this.#isRoot ? cred.setgroups(this.#noGroups) : 0;
    this.#canSetGroups = this.#isRoot && dropped === 0;
    if (dropped < 0) {
      log.warn('supplementary groups cannot be set: creating in a directory by right of one will fail', {
        errno: -dropped,
      });
    }
    this.#hasFsetid =
      this.#isRoot && cred.capgetEffective(this.#capabilities) === 0 && (this.#capabilities[0]! & FSETID_BIT) !== 0;
  }

  /**
   * Takes a user's effective ids; `restore` must follow, in a `finally`.
   * @param group - one supplementary group, or -1
   * @param umask - or NO_UMASK
   * @returns 0, or a negative errno with nothing changed (`restore` does no harm)
   */
  become(uid: number, gid: number, group: number, umask: number): number {
    if (uid >>> 0 === NO_ID || gid >>> 0 === NO_ID) {
      return -EINVAL;
    }
    if (umask !== NO_UMASK) {
      this.#umask = this.#cred.umask(umask);
    }
    if (!this.#isRoot) {
      return 0;
    }
    let result = 0;
    // Groups first and the user last: each step needs the rights that the last one takes away.
    if (group >= 0 && this.#canSetGroups) {
      this.#group[0] = group;
      result = this.#cred.setgroups(this.#group);
      this.#switchedGroup = result === 0;
    }
    if (result === 0 && gid !== this.#gid) {
      result = this.#cred.setresgid(KEEP, gid, KEEP);
      this.#switchedGid = result === 0;
    }
    if (result === 0 && uid !== this.#uid) {
      result = this.#cred.setresuid(KEEP, uid, KEEP);
      this.#switchedUid = result === 0;
    }
    if (result !== 0) {
      this.restore();
    }
    return result;
  }

  /** Whose a file is that is made for a user: that user's, or this process's, which cannot switch. */
  owner(uid: number): number {
    return this.#isRoot ? uid : this.#uid;
  }

  /** Takes the thread's own ids back. @throws PassthroughError ERR_PASSTHROUGH_CREDENTIALS: the process must end */
  restore(): void {
    let result = 0;
    if (this.#umask !== NO_UMASK) {
      this.#cred.umask(this.#umask);
      this.#umask = NO_UMASK;
    }
    if (this.#switchedUid) {
      result = this.#cred.setresuid(KEEP, this.#uid, KEEP);
      this.#switchedUid = false;
    }
    if (this.#switchedGid) {
      result ||= this.#cred.setresgid(KEEP, this.#gid, KEEP);
      this.#switchedGid = false;
    }
    if (this.#switchedGroup) {
      result ||= this.#cred.setgroups(this.#noGroups);
      this.#switchedGroup = false;
    }
    if (result !== 0) {
      throw new PassthroughError('ERR_PASSTHROUGH_CREDENTIALS', `cannot return to uid ${this.#uid}: errno ${-result}`);
    }
  }

  /**
   * Gives up CAP_FSETID, so that the kernel clears set-user-ID and set-group-ID bits as it does for any user;
   * `regainFsetid` must follow, in a `finally`.
   * @returns 0 or a negative errno
   */
  dropFsetid(): number {
    if (!this.#hasFsetid) {
      return 0;
    }
    return this.#cred.capsetEffective((this.#capabilities[0]! & ~FSETID_BIT) >>> 0, this.#capabilities[1]!);
  }

  /** @throws PassthroughError ERR_PASSTHROUGH_CREDENTIALS: the process must end */
  regainFsetid(): void {
    if (!this.#hasFsetid) {
      return;
    }
    const result = this.#cred.capsetEffective(this.#capabilities[0]!, this.#capabilities[1]!);
    if (result !== 0) {
      throw new PassthroughError('ERR_PASSTHROUGH_CREDENTIALS', `cannot regain CAP_FSETID: errno ${-result}`);
    }
  }
}
