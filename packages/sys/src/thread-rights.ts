/**
 * Whose rights a system call runs with. A file that another user makes must belong to that user, so a thread takes the user's
 * effective ids for the one call that makes it, and takes its own back at once: nothing else may run in between. Only the calling
 * thread changes.
 */
import { CAP_FSETID, CLONE_FS } from './constants/credential.ts';
import { EINVAL } from './constants/errno.ts';
import type { SysCred } from './sys.ts';

/** What setresuid takes for "leave it"; as an id it means nothing and is refused. */
const NO_ID = 0xffff_ffff;
const KEEP = -1;
const FSETID_BIT = 1 << CAP_FSETID;
/** In place of a umask. */
const NO_UMASK = -1;

/** The rights of one thread. Only root can switch; for another user everything belongs to that user. */
export class ThreadRights {
  /** In place of a umask: leave it as it is. */
  static readonly NO_UMASK = NO_UMASK;
  /** Why supplementary groups cannot be set, positive; 0: they can. */
  readonly groupsErrno: number;
  readonly #cred: SysCred;
  readonly #uid: number;
  readonly #gid: number;
  readonly #isRoot: boolean;
  readonly #group = new Uint32Array(1);
  readonly #noGroups = new Uint32Array(0);
  /** Effective capabilities, low and high. */
  readonly #capabilities = new Uint32Array(2);
  readonly #hasFsetid: boolean;
  #switchedUid = false;
  #switchedGid = false;
  #switchedGroup = false;
  #umask = NO_UMASK;

  /** When root: drops this thread's supplementary groups, which would otherwise help another user. */
  constructor(cred: SysCred) {
    this.#cred = cred;
    this.#uid = cred.geteuid();
    this.#gid = cred.getegid();
    this.#isRoot = this.#uid === 0;
    this.groupsErrno = this.#isRoot ? -cred.setgroups(this.#noGroups) : 0;
    this.#hasFsetid =
      this.#isRoot && cred.capgetEffective(this.#capabilities) === 0 && (this.#capabilities[0]! & FSETID_BIT) !== 0;
  }

  /** The thread's own user. */
  get uid(): number {
    return this.#uid;
  }

  /** Gives this thread a umask that is not that of others. @returns 0 or a negative errno */
  ownUmask(): number {
    return this.#cred.unshare(CLONE_FS);
  }

  /**
   * Takes a user's effective ids; `restore` must follow, in a `finally`.
   * @param group - one supplementary group, or -1
   * @param umask - or `ThreadRights.NO_UMASK`
   * @returns 0, or a negative errno with nothing changed (`restore` does no harm)
   */
  become(uid: number, gid: number, group: number, umask: number): number {
    if (!isId(uid) || !isId(gid)) {
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
    if (group >= 0 && this.groupsErrno === 0) {
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

  /** Whose a file is that is made for a user: that user's, or this thread's, which cannot switch. */
  owner(uid: number): number {
    return this.#isRoot ? uid : this.#uid;
  }

  /** Takes the thread's own ids back. @returns 0, or a negative errno: the process must end */
  restore(): number {
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
    return result;
  }

  /**
   * Gives up CAP_FSETID, so that the kernel clears set-user-ID and set-group-ID bits of a file as it does for a user of the file's
   * group: who is a stranger to that would lose the set-group-ID bit of a file that its group may not execute, too. `regainFsetid`
   * must follow, in a `finally`.
   * @param gid - the file's
   * @returns 0 or a negative errno
   */
  dropFsetid(gid: number): number {
    if (!this.#hasFsetid) {
      return 0;
    }
    if (gid !== this.#gid) {
      const failed = this.#cred.setresgid(KEEP, gid, KEEP);
      if (failed < 0) {
        return failed;
      }
      this.#switchedGid = true;
    }
    const result = this.#cred.capsetEffective((this.#capabilities[0]! & ~FSETID_BIT) >>> 0, this.#capabilities[1]!);
    return result < 0 ? this.restore() || result : 0;
  }

  /** @returns 0, or a negative errno: the process must end */
  regainFsetid(): number {
    const result = this.#hasFsetid ? this.#cred.capsetEffective(this.#capabilities[0]!, this.#capabilities[1]!) : 0;
    return this.restore() || result;
  }
}

/** False for what stands for "leave it". */
export function isId(id: number): boolean {
  return id >>> 0 !== NO_ID;
}
