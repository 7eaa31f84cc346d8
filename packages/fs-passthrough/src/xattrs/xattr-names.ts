/**
 * Which extended attributes a guest may see and change, and what the host calls them. As with a server that lacks CAP_SYS_ADMIN, the
 * guest's root is not the host's: unless a rule gives an attribute another name, it neither sees `trusted.*` nor sets what the
 * host's kernel trusts in `security.*`.
 */
import type { Name } from '@oriel/fuse';
import { type Address, ENODATA, EOPNOTSUPP, EPERM, ERANGE } from '@oriel/sys';
import type { Share } from '../share.ts';
import { guestName, hostName } from './xattr-map.ts';

const ACCESS_LISTS: readonly string[] = ['system.posix_acl_access', 'system.posix_acl_default'];
const TRUSTED = 'trusted.';
const SECURITY = 'security.';
const CAPABILITY = 'security.capability';
/** Labels that a guest with `securityLabel` keeps for itself: SELinux, Smack, AppArmor. */
const LABELS: readonly string[] = ['security.selinux', 'security.SMACK64', 'security.apparmor'];
/** XATTR_NAME_MAX. */
const NAME_MAX = 255;

/** The access list that decides about the mode. */
export const ACL_ACCESS = ACCESS_LISTS[0]!;

/** Names of one share's attributes. */
export class XattrNames {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  /**
   * The host's name of an attribute that is read; in the share's scratch memory where it is another one.
   * @returns its address, or a negative errno
   */
  toRead(name: Name): Address {
    return this.#toHost(name, false);
  }

  /** The same of an attribute that is changed. */
  toChange(name: Name): Address {
    return this.#toHost(name, true);
  }

  /** Gives a list of NUL-terminated names of the host the guest's names, in place. @returns its new length, bytes */
  showList(list: Uint8Array): number {
    let kept = 0;
    let start = 0;
    for (let end = list.indexOf(0); end >= 0; end = list.indexOf(0, start)) {
      const shown = this.#toGuest(Buffer.from(list.subarray(start, end)).toString('latin1'));
      if (shown !== null) {
        // Never longer than it was: rules only take prefixes away.
        kept += Buffer.from(`${shown}\0`, 'latin1').copy(list, kept);
      }
      start = end + 1;
    }
    return kept;
  }

  #toHost(name: Name, change: boolean): Address {
    const { settings } = this.#share;
    const key = name.key();
    if (ACCESS_LISTS.includes(key) && !this.#share.accessLists) {
      return -EOPNOTSUPP;
    }
    const rules = settings.xattrMap;
    const host = rules === null ? key : hostName(rules, key);
    if (typeof host === 'number') {
      return host;
    }
    if (host !== key) {
      return this.#put(host);
    }
    if (key.startsWith(TRUSTED)) {
      return change ? -EPERM : -ENODATA;
    }
    return change && !this.#mayChange(key) ? -EPERM : name.addr;
  }

  #mayChange(key: string): boolean {
    const labels = this.#share.settings.securityLabel && LABELS.some((label) => key.startsWith(label));
    return !key.startsWith(SECURITY) || key === CAPABILITY || labels;
  }

  #toGuest(host: string): string | null {
    const rules = this.#share.settings.xattrMap;
    const shown = rules === null ? host : guestName(rules, host);
    if (shown === null || shown === '' || (ACCESS_LISTS.includes(shown) && !this.#share.accessLists)) {
      return null;
    }
    return shown === host && host.startsWith(TRUSTED) ? null : shown;
  }

  #put(host: string): Address {
    const { bytes, path, pathAt } = this.#share.scratch;
    if (host.length > NAME_MAX) {
      return -ERANGE;
    }
    bytes[pathAt + Buffer.from(host, 'latin1').copy(bytes, pathAt)] = 0;
    return path;
  }
}
