/** Landlock (landlock(7)): a thread that reaches files beneath a few directories only, whatever its paths say. */
import { closeSync, constants, openSync } from 'node:fs';
import {
  check,
  Fd,
  LANDLOCK_ACCESS_FS_EXECUTE,
  LANDLOCK_ACCESS_FS_IOCTL_DEV,
  LANDLOCK_ACCESS_FS_MAKE_SYM,
  LANDLOCK_ACCESS_FS_REFER,
  LANDLOCK_ACCESS_FS_TRUNCATE,
  LANDLOCK_CREATE_RULESET_VERSION,
  LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET,
  LANDLOCK_SCOPE_SIGNAL,
  LandlockPathBeneathAttr,
  LandlockRulesetAttr,
  type Sys,
} from '@oriel/sys';

/** node:fs lacks it. */
const O_PATH = 0x200000;
/** The access rights have a bit each, in the order in which kernels learned them. */
const BY_VERSION = [
  0,
  2 * LANDLOCK_ACCESS_FS_MAKE_SYM - 1,
  2 * LANDLOCK_ACCESS_FS_REFER - 1,
  2 * LANDLOCK_ACCESS_FS_TRUNCATE - 1,
  2 * LANDLOCK_ACCESS_FS_TRUNCATE - 1,
  2 * LANDLOCK_ACCESS_FS_IOCTL_DEV - 1,
] as const;
/** From here on a ruleset has a scope. */
const SCOPED = 6;
/** Without `handledAccessNet` and `scoped`. */
const FIRST_SIZE = 8;

/** What this kernel's Landlock is; 0: it has none, or it is off. */
export function landlockVersion({ sandbox }: Pick<Sys, 'sandbox'>): number {
  return Math.max(0, sandbox.landlockCreateRuleset(0, 0, LANDLOCK_CREATE_RULESET_VERSION));
}

/**
 * A ruleset for `landlockRestrictSelf`: everything but running programs beneath some directories, and nothing elsewhere.
 * @returns null where the kernel cannot say so of renames from one directory into another (before Linux 5.19)
 * @throws SysError, or an error of node:fs
 */
export function openRuleset(sys: Pick<Sys, 'sandbox' | 'fd'>, directories: readonly string[]): Fd | null {
  const version = landlockVersion(sys);
  if (version < 2) {
    return null;
  }
  const rights = BY_VERSION[Math.min(version, BY_VERSION.length - 1)]!;
  const attr = new Uint8Array(LandlockRulesetAttr.byteLength);
  const attrView = new DataView(attr.buffer);
  LandlockRulesetAttr.handledAccessFs.set(attrView, 0, rights);
  const scoped = version >= SCOPED;
  LandlockRulesetAttr.scoped.set(attrView, 0, scoped ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL : 0);
  const size = scoped ? LandlockRulesetAttr.byteLength : FIRST_SIZE;
  const ruleset = new Fd(sys.fd, check(sys.sandbox.landlockCreateRuleset(attr, size, 0), 'landlock_create_ruleset'));
  try {
    const rule = new Uint8Array(LandlockPathBeneathAttr.byteLength);
    const ruleView = new DataView(rule.buffer);
    LandlockPathBeneathAttr.allowedAccess.set(ruleView, 0, rights - LANDLOCK_ACCESS_FS_EXECUTE);
    for (const directory of directories) {
      const fd = openSync(directory, O_PATH | constants.O_DIRECTORY);
      try {
        LandlockPathBeneathAttr.parentFd.set(ruleView, 0, fd);
        check(sys.sandbox.landlockAddPath(ruleset.fd, rule), 'landlock_add_rule');
      } finally {
        closeSync(fd);
      }
    }
    return ruleset;
  } catch (error) {
    ruleset.close();
    throw error;
  }
}
