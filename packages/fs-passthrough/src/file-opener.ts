/** Opens regular files, and makes handles of what was opened. */
import { FOPEN_KEEP_CACHE, FOPEN_NOFLUSH, type Operation } from '@oriel/fuse';
import { type Address, EAGAIN, ENFILE, O_ACCMODE, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_TRUNC } from '@oriel/sys';
import type { Device } from './devices.ts';
import { FILE } from './handles.ts';
import type { Share } from './share.ts';

/** Opens files. */
export class FileOpener {
  readonly #share: Share;
  /** Tells whether an inode is in DAX use. */
  inDaxUse: (nodeid: number) => boolean = () => false;

  constructor(share: Share) {
    this.#share = share;
  }

  /**
   * Opens what the text "N" of a descriptor stands for. Where set-id bits are to be cleared, the share's status is the file's.
   * @returns a descriptor, or a negative errno; EAGAIN: somebody has a lease on the file, and who waits for that must do it elsewhere
   */
  open(number: Address, flags: number, killSuidgid: boolean): number {
    const { runs } = this.#share;
    const kill = killSuidgid && (flags & O_TRUNC) !== 0;
    // Without O_NONBLOCK a lease blocks for up to 45 s.
    const fd = this.#open(number, flags, kill, runs.active === null ? O_NONBLOCK : 0);
    return fd === -EAGAIN && !runs.enabled ? this.#open(number, flags, kill, 0) : fd;
  }

  #open(number: Address, flags: number, killSuidgid: boolean, nonblock: number): number {
    const hostFlags = this.#share.hostFlags(flags) | O_NOCTTY | nonblock;
    return killSuidgid ? this.#openClearing(number, hostFlags) : this.#share.openNumber(number, hostFlags);
  }

  /** Apart from `#open`, so that only a truncation that clears set-id bits costs a closure. */
  #openClearing(number: Address, hostFlags: number): number {
    const { credentials, status } = this.#share;
    return credentials.withoutFsetid(status.gid, () => this.#share.openNumber(number, hostFlags));
  }

  /** Makes a handle of a descriptor, which is given away, and answers with it. @returns 0 or -ENFILE */
  answer(op: Operation, fd: number, nodeid: number, device: Device, flags: number): number {
    const { handles, fd: sysFd } = this.#share;
    if (handles.full(FILE)) {
      sysFd.close(fd);
      return -ENFILE;
    }
    this.#share.commit();
    if (op.intent !== null) {
      op.intent.fh = handles.nextFh;
    }
    const handle = handles.insert(fd, FILE, device, nodeid, this.#share.hostFlags(flags) | O_NOCTTY);
    op.fh = handles.fh(handle);
    op.openFlags = this.openFlags(nodeid, device, flags);
    return 0;
  }

  /** FOPEN_* of a handle. @param flags - O_* of its open */
  openFlags(nodeid: number, device: Device, flags: number): number {
    const { settings } = this.#share;
    let openFlags = settings.cache.fileFlags;
    if (settings.daxKeepCache && this.inDaxUse(nodeid)) {
      openFlags |= FOPEN_KEEP_CACHE;
    }
    // Nothing happens on a local disk at close, but that locks end; a file open for writing must still push out what was stored by mmap.
    if (device.local && (flags & O_ACCMODE) === O_RDONLY && !settings.posixLocks) {
      openFlags |= FOPEN_NOFLUSH;
    }
    return openFlags;
  }
}
