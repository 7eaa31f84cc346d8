/** What a DAX window asks of a file: its facts, and a descriptor to be mapped. */
import type { MapInfo } from '@oriel/fuse';
import {
  EACCES,
  EAGAIN,
  EBADF,
  EOPNOTSUPP,
  EROFS,
  ETXTBSY,
  escapeBytes,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  S_IFREG,
} from '@oriel/sys';
import type { Device } from './devices.ts';
import { ROOT } from './inode-rows.ts';
import type { Share } from './share.ts';

const SLASH = 0x2f;
/** What /proc/self/fd says behind a name that was taken away; a file may have it as its name. */
const DELETED = Buffer.from(' (deleted)');

const UNKNOWN_INFO: MapInfo = { size: 0, mappable: false, devLo: 0, devHi: 0, inoLo: 0, inoHi: 0, path: '' };

/** An inode about to be mapped. */
interface Prepared {
  readonly nodeid: number;
  readonly info: MapInfo;
  /** What `info` answers. */
  readonly failed: number;
  /** A descriptor, or a negative errno. */
  readonly fd: number;
  readonly device: Device;
}

/** Requests of a window. */
export class MappingRequests {
  readonly #share: Share;
  /** Nodeids that were opened for a mapping since they became known. */
  readonly #mapped = new Set<number>();
  /** What `prepare` found last. */
  #prepared: Prepared | null = null;

  constructor(share: Share) {
    this.#share = share;
  }

  /**
   * Asks a mount that may not answer for what `info` and `open` are going to be asked next.
   * @param done - called later where the result is PENDING
   * @returns 0 or PENDING
   */
  prepare(nodeid: number, done: () => void): number {
    if (!this.#share.routes.isRemote(nodeid)) {
      return 0;
    }
    const code = (): number => {
      const info = { ...UNKNOWN_INFO };
      const failed = this.#ask(nodeid, info);
      const fd = failed < 0 ? failed : this.#open(nodeid);
      this.#share.commit();
      this.#dropPrepared();
      const slot = this.#share.inodes.slotOf(nodeid);
      this.#prepared = slot < 0 ? null : { nodeid, info, failed, fd, device: this.#share.inodes.device(slot) };
      return 0;
    };
    return this.#share.routes.runOnInode([nodeid], { complete: done }, code);
  }

  /** Of an inode on a mount that may not answer: what `prepare` found, or else that it is not to be mapped. */
  info(nodeid: number, out: MapInfo): number {
    if (!this.#share.routes.isRemote(nodeid)) {
      return this.#ask(nodeid, out);
    }
    const prepared = this.#prepared;
    const known = prepared !== null && prepared.nodeid === nodeid;
    Object.assign(out, known ? prepared.info : UNKNOWN_INFO);
    return known ? prepared.failed : 0;
  }

  open(nodeid: number): number {
    if (!this.#share.routes.isRemote(nodeid)) {
      return this.#open(nodeid);
    }
    const prepared = this.#prepared;
    if (prepared === null || prepared.nodeid !== nodeid) {
      return -EOPNOTSUPP;
    }
    this.#prepared = null;
    return prepared.fd;
  }

  #ask(nodeid: number, out: MapInfo): number {
    const { inodes, settings, status } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    const fd = inodes.fd(slot);
    const failed = fd < 0 ? fd : status.ofFd(fd);
    if (failed < 0) {
      return failed;
    }
    out.size = status.size;
    out.mappable = inodes.type(slot) === S_IFREG && !settings.readonly;
    out.devLo = status.devMinor;
    out.devHi = status.devMajor;
    out.inoLo = status.inoLo;
    out.inoHi = status.inoHi;
    out.path = status.nlink === 0 ? '' : this.#path(slot);
    return 0;
  }

  #open(nodeid: number): number {
    const { inodes, settings } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (inodes.type(slot) !== S_IFREG) {
      return -EACCES;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const fd = this.#share.openInode(slot, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) {
      this.#mapped.add(nodeid);
    }
    // Somebody's lease: EAGAIN would make the driver ask again without end.
    return fd === -EAGAIN ? -ETXTBSY : fd;
  }

  /** True when an inode was opened for a mapping. */
  wasMapped(nodeid: number): boolean {
    return this.#mapped.has(nodeid);
  }

  /** An inode is forgotten. */
  forget(nodeid: number): void {
    this.#mapped.delete(nodeid);
  }

  /** Every inode is forgotten. */
  clear(): void {
    this.#mapped.clear();
    this.#dropPrepared();
  }

  #dropPrepared(): void {
    const prepared = this.#prepared;
    this.#prepared = null;
    if (prepared !== null && prepared.fd >= 0) {
      this.#share.closeFile(prepared.fd, prepared.device);
    }
  }

  /** The path below the share's root; '' when the file is not there (any more). */
  #path(slot: number): string {
    const { scratch } = this.#share;
    const rootLen = this.#readPath(ROOT);
    if (rootLen < 0) {
      return '';
    }
    const root = Buffer.from(scratch.bytes.subarray(scratch.pathAt, scratch.pathAt + rootLen));
    const len = this.#readPath(slot);
    if (len < 0) {
      return '';
    }
    const path = Buffer.from(scratch.bytes.subarray(scratch.pathAt, scratch.pathAt + len));
    // A share of / has a root path that ends in the slash already.
    const prefix = root[rootLen - 1] === SLASH ? rootLen - 1 : rootLen;
    if (path.length <= prefix || path[prefix] !== SLASH || !path.subarray(0, prefix).equals(root.subarray(0, prefix))) {
      return '';
    }
    return endsWith(path, DELETED) && !this.#leadsTo(prefix + 1, len) ? '' : textOf(path.subarray(prefix + 1));
  }

  /** True when bytes [from, end) of `scratch.path` still name, below the share, the inode of the share's status. */
  #leadsTo(from: number, end: number): boolean {
    const { inodes, scratch, status } = this.#share;
    scratch.bytes[scratch.pathAt + end] = 0;
    const { inoLo, inoHi, devMajor, devMinor, mount, type } = status;
    const root = inodes.fd(ROOT);
    return (
      status.ofEntry(root, scratch.path + from) === 0 && status.isFile(inoLo, inoHi, devMajor, devMinor, mount, type)
    );
  }

  #readPath(slot: number): number {
    const { file, inodes, procFd, scratch } = this.#share;
    const number = inodes.number(slot);
    return number < 0 ? number : file.readlinkat(procFd, number, scratch.path, scratch.pathLen);
  }
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  return end.every((byte, index) => bytes[bytes.length - end.length + index] === byte);
}

/** A path as text; one that is no UTF-8 is escaped. */
function textOf(path: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(path);
  } catch {
    return escapeBytes(path, path.length);
  }
}
