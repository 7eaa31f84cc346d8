/** The sandbox slice: raw system calls that take rights away. */
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC } from '../constants/file.ts';
import { AT_RECURSIVE, OPEN_TREE_CLONE, SECCOMP_SET_MODE_FILTER } from '../constants/sandbox.ts';
import { CapData, CapHeader, SockFilter, SockFprog } from '../layouts.ts';
import type { SysSandbox } from '../sys.ts';
import { CAPABILITY_VERSION_3 } from './cred.ts';
import { addressOf, errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

/** `enum landlock_rule_type` (linux/landlock.h). */
const LANDLOCK_RULE_PATH_BENEATH = 1;
/** u64 words of a `struct mount_attr`: set, clear, propagation, user namespace. */
const MOUNT_ATTR_WORDS = 4;
const EMPTY = new Uint8Array(1);
/** Where a set's words come from: the structure is effective, permitted, inheritable, all low words first. */
const WORD_OF = [0, 2, 4, 1, 3, 5] as const;

/** @param scratch - memory for the structures of a call */
export function openSandbox(scratch: Scratch): SysSandbox {
  const nr = SYS;
  const p = rawCall('p');
  const pi = rawCall('pi');
  const pp = rawCall('pp');
  const iii = rawCall('iii');
  const pii = rawCall('pii');
  const ii = rawCall('ii');
  const ipi = rawCall('ipi');
  const ipipi = rawCall('ipipi');
  const iipi = rawCall('iipi');
  const ipii = rawCall('ipii');
  const iiiii = rawCall('iiiii');
  const pppip = rawCall('pppip');
  const view = scratch.view;
  const header = scratch.take(CapHeader.byteLength);
  const data = scratch.take(CapData.byteLength);
  const program = scratch.take(SockFprog.byteLength);
  const status = scratch.take(4);
  CapHeader.version.set(view, header.base, CAPABILITY_VERSION_3);
  const plain = (result: number): number => (result === -1 ? -errno() : result);

  return {
    mount: (source, target, type, flags, from) => plain(pppip(nr.mount, source, target, type, flags, from)),
    umount2: (target, flags) => plain(pi(nr.umount2, target, flags)),
    cloneTree: (path) => plain(ipi(nr.open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC)),
    setMountAttributes(fd, set) {
      const attributes = new BigUint64Array(MOUNT_ATTR_WORDS);
      attributes[0] = BigInt(set);
      const flags = AT_EMPTY_PATH | AT_RECURSIVE;
      return plain(ipipi(nr.mount_setattr, fd, EMPTY, flags, attributes, attributes.byteLength));
    },
    pivotRoot: (newRoot, putOld) => plain(pp(nr.pivot_root, newRoot, putOld)),
    chdir: (path) => plain(p(nr.chdir, path)),
    chroot: (path) => plain(p(nr.chroot, path)),
    prctl: (option, arg2, arg3, arg4, arg5) => plain(iiiii(nr.prctl, option, arg2, arg3, arg4, arg5)),
    setCapabilities(words) {
      for (let index = 0; index < WORD_OF.length; index++) {
        CapData.words.set(view, data.base, index, words[WORD_OF[index]!]!);
      }
      return plain(ii(nr.capset, header.addr, data.addr));
    },
    loadFilter(filter, flags) {
      SockFprog.len.set(view, program.base, filter.length / SockFilter.byteLength);
      SockFprog.filter.set(view, program.base, addressOf(filter));
      return plain(iii(nr.seccomp, SECCOMP_SET_MODE_FILTER, flags, program.addr));
    },
    landlockCreateRuleset: (attr, size, flags) => plain(pii(nr.landlock_create_ruleset, attr, size, flags)),
    landlockAddPath: (ruleset, rule) => plain(iipi(nr.landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)),
    landlockRestrictSelf: (ruleset, flags) => plain(ii(nr.landlock_restrict_self, ruleset, flags)),
    waitChild(pid) {
      const result = ipii(nr.wait4, pid, status.addr, 0, 0);
      return result === -1 ? -errno() : view.getInt32(status.base, true);
    },
  };
}
