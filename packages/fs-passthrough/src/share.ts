/** What all parts of a share have in common: tables, scratch memory, the descriptors of its root and of /proc/self/fd. */

import type { Operation } from '@oriel/fuse';
import {
  type Address,
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  EACCES,
  ENOSYS,
  EPERM,
  errnoName,
  Fd,
  O_ACCMODE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  O_WRONLY,
  type Offload,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  SysError,
  type SysFile,
  ThreadRights,
} from '@oriel/sys';
import { Credentials } from './credentials.ts';
import { type Device, Devices } from './devices.ts';
import { PassthroughError } from './errors.ts';
import { FileStatus } from './file-status.ts';
import { Handles } from './handles.ts';
import { ROOT } from './inode-rows.ts';
import { Inodes } from './inodes.ts';
import { OffloadedCalls } from './offloaded-calls.ts';
import type { PassthroughOptions, PassthroughSys, Settings } from './options.ts';
import { settingsOf } from './options.ts';
import { RareLog } from './rare-log.ts';
import { RemoteFd, type ShareFd } from './remote/remote-fd.ts';
import { RemoteFile } from './remote/remote-file.ts';
import { RemoteRuns } from './remote/remote-runs.ts';
import { laneOf, RequestRoutes } from './remote/request-routes.ts';
import { Scratch } from './scratch.ts';

const RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
const PATH_FLAGS = O_PATH | O_NOFOLLOW | O_CLOEXEC;

/** The state of one share. It owns every descriptor and mapping in it. */
export class Share implements Disposable {
  readonly settings: Settings;
  readonly fd: ShareFd;
  readonly file: SysFile;
  /** Closes an open file of the share, without waiting for its mount. */
  readonly closeFile: (fd: number, device: Device) => void;
  /** Requests on mounts that may not answer. */
  readonly runs: RemoteRuns;
  readonly scratch: Scratch;
  readonly status: FileStatus;
  readonly devices: Devices;
  readonly inodes: Inodes;
  readonly handles: Handles;
  readonly credentials: Credentials;
  readonly routes: RequestRoutes;
  readonly calls: OffloadedCalls;
  readonly rareLog: RareLog;
  /** /proc/self/fd, O_PATH. */
  readonly procFd: number;
  /** Counts `clear`: what began before one must leave nothing behind it. */
  epoch = 0;
  /** The driver heeds access lists and leaves the umask to this side. */
  accessLists = false;
  /** The driver reads, with any open file that may be written, the pages of which it writes a part. */
  writeback = false;
  /** The driver leaves it to this side to clear set-id bits. */
  clearsSetId = false;
  /** openat2 is there; old kernels and some containers lack it. */
  readonly #openat2: boolean;

  /**
   * @throws PassthroughError ERR_PASSTHROUGH_OPTION, ERR_PASSTHROUGH_SHARE, ERR_PASSTHROUGH_PROC,
   *   ERR_PASSTHROUGH_HANDLES; SysError ENOMEM
   */
  constructor(options: PassthroughOptions) {
    const settings = settingsOf(options);
    const sys: PassthroughSys = options.sys;
    const offload: Offload | undefined = options.offload;
    using root = openDirectory(sys, settings.sharedDir, 'ERR_PASSTHROUGH_SHARE');
    using proc = openDirectory(sys, '/proc/self/fd', 'ERR_PASSTHROUGH_PROC');
    this.settings = settings;
    const pool = settings.limits.maxPending > 0 ? (options.remoteOffload ?? offload ?? null) : null;
    this.scratch = new Scratch(sys.mem);
    const runs = new RemoteRuns(sys, pool);
    const file = new RemoteFile(sys.file, runs);
    const fd = new RemoteFd(sys.fd, runs);
    const calls = { mem: sys.mem, fd, file };
    this.runs = runs;
    this.fd = fd;
    this.file = file;
    this.status = new FileStatus(file, this.scratch.empty, this.scratch.statx, {
      uids: settings.uids,
      gids: settings.gids,
      // A mount in a directory that is known to be local is seen by its number; what it says of itself is asked for elsewhere.
      entryFlags: runs.enabled ? AT_STATX_DONT_SYNC : 0,
    });
    this.closeFile = (fd, device) => {
      if (device.remote) runs.close(laneOf(device.major, device.minor), fd);
      else sys.fd.close(fd);
    };
    this.devices = new Devices({ fd: sys.fd, file }, this.closeFile, this.scratch);
    this.inodes = new Inodes(
      { places: sys.fd, calls, runs, scratch: this.scratch, devices: this.devices },
      {
        maxInodes: settings.limits.maxInodes,
        maxDescriptors: settings.limits.maxInodeDescriptors,
        useHandles: settings.inodeFileHandles !== 'never',
        procFd: proc.fd,
      },
    );
    this.handles = new Handles(this.closeFile, this.devices, settings.limits.maxHandles, settings.limits.maxDirStreams);
    this.routes = new RequestRoutes(this.devices, this.inodes, this.handles, runs);
    this.calls = new OffloadedCalls(sys, this.handles, runs, offload, settings.limits.maxPending);
    this.rareLog = new RareLog(settings.log);
    this.credentials = new Credentials(sys.cred, runs, settings.log, settings.ownUmask);
    try {
      this.#insertRoot(root);
    } catch (error) {
      runs[Symbol.dispose]();
      this.calls[Symbol.dispose]();
      this.inodes[Symbol.dispose]();
      this.scratch[Symbol.dispose]();
      throw error;
    }
    this.#openat2 = this.#probeOpenat2();
    this.procFd = proc.take();
  }

  /**
   * Opens an entry of a directory; a symbolic link is never followed, whatever the flags.
   * @param name - one component, checked by the session
   * @returns a descriptor or a negative errno
   */
  openEntry(dirfd: number, name: Address, flags: number, mode: number): number {
    return this.#openat2
      ? this.file.openat2(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode, RESOLVE)
      : this.file.openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
  }

  /** An O_PATH descriptor of an entry, of a symbolic link too. */
  openEntryPath(dirfd: number, name: Address): number {
    return this.openEntry(dirfd, name, PATH_FLAGS, 0);
  }

  /** What reaches the host of the O_* of a driver's open. */
  hostFlags(flags: number): number {
    const kept = flags & this.settings.keptFlags;
    return this.writeback && (kept & O_ACCMODE) === O_WRONLY ? (kept & ~O_ACCMODE) | O_RDWR : kept;
  }

  /**
   * Takes the credentials and the umask of a request's caller, to make what it wants; `credentials.restore` must follow, in a
   * `finally`.
   * @returns 0, or a negative errno with nothing changed
   */
  become(op: Operation): number {
    const uid = this.hostUid(op.uid);
    const gid = this.hostGid(op.gid);
    const extra = op.supplementaryGroup;
    const group = extra < 0 ? extra : this.hostGid(extra);
    if (uid < 0 || gid < 0 || (extra >= 0 && group < 0)) {
      return -EPERM;
    }
    return this.credentials.become(uid, gid, group, this.accessLists ? op.umask : ThreadRights.NO_UMASK);
  }

  /** The host's id of a guest's user, or -EPERM. */
  hostUid(uid: number): number {
    return this.settings.uids === null ? uid : this.settings.uids.toHost(uid);
  }

  /** The host's id of a guest's group, or -EPERM. */
  hostGid(gid: number): number {
    return this.settings.gids === null ? gid : this.settings.gids.toHost(gid);
  }

  /** Opens an inode anew, through /proc/self/fd: no path is walked. @returns a descriptor or a negative errno */
  openInode(slot: number, flags: number): number {
    if (this.inodes.device(slot).ofKernel && this.inodes.type(slot) !== S_IFDIR) {
      return -EACCES;
    }
    const number = this.inodes.number(slot);
    return number < 0 ? number : this.openNumber(number, flags);
  }

  /** Opens what the text "N" of a descriptor stands for. @returns as `openInode` */
  openNumber(number: Address, flags: number): number {
    return this.file.openat(this.procFd, number, flags | O_CLOEXEC, 0);
  }

  /**
   * The share's tables are about to change: what a run's code asks from now on is asked at once, here. It must not have to ask a mount
   * that may not answer.
   */
  commit(): void {
    this.runs.active = null;
  }

  /** Drops every handle, and every inode but the root. */
  clear(): void {
    this.epoch++;
    this.runs.cancel();
    this.handles.clear();
    this.inodes.clear();
  }

  [Symbol.dispose](): void {
    this.epoch++;
    this.runs[Symbol.dispose]();
    this.calls[Symbol.dispose]();
    this.handles.clear();
    this.inodes[Symbol.dispose]();
    this.scratch[Symbol.dispose]();
    this.fd.close(this.procFd);
  }

  #insertRoot(root: Fd): void {
    const failed = this.status.ofFd(root.fd);
    if (failed < 0) {
      throw new PassthroughError('ERR_PASSTHROUGH_SHARE', 'statx failed', { cause: new SysError(-failed, 'statx') });
    }
    const { log, inodeFileHandles, limits } = this.settings;
    this.inodes.insert(root.take(), this.status);
    const { handleErrno } = this.inodes.device(ROOT);
    if (handleErrno === 0) {
      return;
    }
    const why = errnoName(handleErrno);
    if (inodeFileHandles === 'mandatory') {
      throw new PassthroughError(
        'ERR_PASSTHROUGH_HANDLES',
        `inodes of the shared directory cannot be opened by file handle (${why}): it takes CAP_DAC_READ_SEARCH and a file system with handles, or inodeFileHandles 'prefer'`,
      );
    }
    log.info('no file handles: each inode that the guest knows costs a descriptor', {
      errno: why,
      maxInodes: Math.min(limits.maxInodes, limits.maxInodeDescriptors),
    });
  }

  #probeOpenat2(): boolean {
    const root = this.inodes.fd(ROOT);
    const fd = this.file.openat2(root, this.scratch.dot, PATH_FLAGS | O_DIRECTORY, 0, RESOLVE);
    if (fd >= 0) {
      this.fd.close(fd);
      return true;
    }
    // A component without a slash that is no link to follow leads nowhere else with openat either.
    return fd !== -ENOSYS && fd !== -EPERM;
  }
}

function openDirectory(sys: PassthroughSys, path: string, code: 'ERR_PASSTHROUGH_SHARE' | 'ERR_PASSTHROUGH_PROC'): Fd {
  const fd = sys.file.openat(AT_FDCWD, Buffer.from(`${path}\0`), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) {
    throw new PassthroughError(code, `cannot open ${path}`, { cause: new SysError(-fd, 'openat') });
  }
  return new Fd(sys.fd, fd);
}
