/** The koffi implementation of `Sys`, put together. */
import type { Sys } from '../sys.ts';
import { openCred } from './cred.ts';
import { openDrm } from './drm.ts';
import { openFanotify } from './fanotify.ts';
import { openFd } from './fd.ts';
import { openFile } from './file.ts';
import { openKvm } from './kvm.ts';
import { openLoop } from './loop.ts';
import { openMem } from './mem.ts';
import { syscallNumbers } from './numbers.ts';
import { openSandbox } from './sandbox.ts';
import { Scratch } from './scratch.ts';
import { openSocket } from './socket.ts';

let opened: Sys | undefined;

/**
 * The system calls of this thread: made at the first call, the same object afterwards. Each worker makes its own; a
 * `Sys` must not leave its thread, since its scratch memory serves one call at a time.
 * @throws Error on a host other than Linux on x86_64 or arm64
 * @throws SysError ENOMEM
 */
export function openSys(): Sys {
  if (opened === undefined) {
    if (process.platform !== 'linux' || syscallNumbers(process.arch) === undefined) {
      throw new Error(`@oriel/sys runs on Linux on x64 or arm64, not on ${process.platform} ${process.arch}`);
    }
    const scratch = new Scratch();
    opened = Object.freeze({
      mem: openMem(scratch),
      fd: openFd(),
      socket: openSocket(scratch),
      loop: openLoop(scratch),
      file: openFile(scratch),
      cred: openCred(scratch),
      fanotify: openFanotify(),
      sandbox: openSandbox(scratch),
      kvm: openKvm(scratch),
      drm: openDrm(),
    });
  }
  return opened;
}
