/** The credential slice: raw system calls, so that only the calling thread changes. */
import { CapData, CapHeader } from '../layouts.ts';
import type { SysCred } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

/** `_LINUX_CAPABILITY_VERSION_3`: two words of 32 capabilities. */
export const CAPABILITY_VERSION_3 = 0x2008_0522;
/** Where the effective words stand: effective, permitted, inheritable, low then high. */
const EFFECTIVE_LO = 0;
const EFFECTIVE_HI = 3;

/** @param scratch - memory for the capability structures */
export function openCred(scratch: Scratch): SysCred {
  const { geteuid, getegid, setresuid, setresgid, setgroups, capget, capset, umask, unshare } = SYS;
  const none = rawCall('');
  const i = rawCall('i');
  const ii = rawCall('ii');
  const ip = rawCall('ip');
  const iii = rawCall('iii');
  const view = scratch.view;
  const header = scratch.take(CapHeader.byteLength);
  const data = scratch.take(CapData.byteLength);
  CapHeader.version.set(view, header.base, CAPABILITY_VERSION_3);

  return {
    geteuid: () => none(geteuid),
    getegid: () => none(getegid),
    setresuid(ruid, euid, suid) {
      return iii(setresuid, ruid, euid, suid) === -1 ? -errno() : 0;
    },
    setresgid(rgid, egid, sgid) {
      return iii(setresgid, rgid, egid, sgid) === -1 ? -errno() : 0;
    },
    setgroups(groups) {
      return ip(setgroups, groups.length, groups) === -1 ? -errno() : 0;
    },
    capgetEffective(out) {
      if (ii(capget, header.addr, data.addr) === -1) {
        return -errno();
      }
      out[0] = CapData.words.get(view, data.base, EFFECTIVE_LO);
      out[1] = CapData.words.get(view, data.base, EFFECTIVE_HI);
      return 0;
    },
    capsetEffective(lo, hi) {
      if (ii(capget, header.addr, data.addr) === -1) {
        return -errno();
      }
      CapData.words.set(view, data.base, EFFECTIVE_LO, lo);
      CapData.words.set(view, data.base, EFFECTIVE_HI, hi);
      return ii(capset, header.addr, data.addr) === -1 ? -errno() : 0;
    },
    umask: (mask) => i(umask, mask),
    unshare(flags) {
      return i(unshare, flags) === -1 ? -errno() : 0;
    },
  };
}
