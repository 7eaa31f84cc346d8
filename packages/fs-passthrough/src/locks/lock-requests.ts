/**
 * File locks that other guests and the host see. A POSIX lock is an open-file-description lock of a descriptor of its own for
 * each owner in the guest, since the host knows but one owner in this process; a flock is one of the guest's handle, which is an
 * open file description as the guest's is.
 */
import { type FileLock as FuseLock, type Operation, PENDING } from '@oriel/fuse';
import { TWO_32, toBigInt } from '@oriel/layout';
import {
  type Address,
  EAGAIN,
  EBADF,
  EINTR,
  EINVAL,
  ENOLCK,
  EOPNOTSUPP,
  EROFS,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  FileLock,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  S_IFREG,
} from '@oriel/sys';
import type { Device } from '../devices.ts';
import { FILE } from '../handles.ts';
import type { Share } from '../share.ts';
import { LockWaiters, type RetryTimer } from './lock-waiters.ts';

/** The last byte that a file can have. */
const END_LO = 0xffff_ffff;
const END_HI = 0x7fff_ffff;
/** Owners that hold locks at one time: each costs a descriptor. */
const MAX_OWNERS = 4096;

/** The open file that holds an owner's locks on an inode. */
interface OwnerFile {
  readonly fd: number;
  readonly device: Device;
}

/** Locks by owner. */
export class LockRequests {
  readonly #share: Share;
  /** Descriptors by nodeid, then by the driver's name of the owner. */
  readonly #owners = new Map<number, Map<string, OwnerFile>>();
  readonly #waiters: LockWaiters;
  #count = 0;

  /** @param timer - for locks that are waited for; without one they are refused */
  constructor(share: Share, timer: RetryTimer | undefined) {
    this.#share = share;
    this.#waiters = new LockWaiters(timer);
  }

  get(nodeid: number, fh: number, lock: FuseLock): number {
    const { file } = this.#share;
    if (!this.#isOpen(nodeid, fh)) {
      return -EBADF;
    }
    if (lock.flock) {
      return -EINVAL;
    }
    const owner = this.#ownerOf(nodeid, keyOf(lock));
    if (typeof owner === 'number') {
      return owner;
    }
    const failed = file.fcntlLock(this.#lend(nodeid, keyOf(lock), owner), F_OFD_GETLK, this.#put(lock));
    this.#keep(nodeid, keyOf(lock), owner);
    if (failed < 0) {
      return failed;
    }
    this.#take(lock);
    return 0;
  }

  set(op: Operation, nodeid: number, fh: number, lock: FuseLock, wait: boolean): number {
    if (!this.#isOpen(nodeid, fh)) {
      return -EBADF;
    }
    const result = this.#try(nodeid, fh, lock);
    if (result === 0 && lock.type === F_UNLCK) {
      this.#waiters.wake();
    }
    if (result !== -EAGAIN || !wait) {
      return result;
    }
    // The operation's own may be another request's when it is cancelled.
    const wanted = { ...lock };
    return this.#waiters.add(op, (done) => this.#tryAgain(nodeid, fh, wanted, done)) ? PENDING : -EOPNOTSUPP;
  }

  /** @param done - called with the result where that is PENDING */
  #tryAgain(nodeid: number, fh: number, lock: FuseLock, done: (result: number) => void): number {
    const share = this.#share;
    const code = (): number => this.#try(nodeid, fh, lock);
    return share.routes.isRemoteHandle(fh) ? share.routes.runOnHandles([fh], { complete: done }, code) : code();
  }

  /** True for an open file of that inode. */
  #isOpen(nodeid: number, fh: number): boolean {
    const { handles } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    return slot >= 0 && handles.nodeid(slot) === nodeid;
  }

  /** A request that waits is not to be completed. @returns false when it does not wait */
  cancel(op: Operation): boolean {
    return this.#waiters.cancel(op);
  }

  /** close(2) in the guest: the owner's POSIX locks on the inode end. */
  ownerGone(nodeid: number, ownerLo: number, ownerHi: number): void {
    const owners = this.#owners.get(nodeid);
    const key = `${ownerHi}:${ownerLo}`;
    const owner = owners?.get(key);
    if (owners === undefined || owner === undefined) {
      return;
    }
    owners.delete(key);
    if (owners.size === 0) {
      this.#owners.delete(nodeid);
    }
    this.#close(owner);
    this.#waiters.wake();
  }

  /** A handle ends, and its flock with it; or an inode is forgotten. */
  forget(nodeid: number): void {
    for (const owner of this.#owners.get(nodeid)?.values() ?? []) {
      this.#close(owner);
    }
    this.#owners.delete(nodeid);
  }

  /** Every lock ends; what waits is completed with EINTR. */
  clear(): void {
    for (const nodeid of [...this.#owners.keys()]) {
      this.forget(nodeid);
    }
    this.#waiters.end(-EINTR);
  }

  #try(nodeid: number, fh: number, lock: FuseLock): number {
    const { file, handles } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    if (slot < 0) {
      return -EBADF;
    }
    if (lock.flock) {
      const how = lock.type === F_UNLCK ? LOCK_UN : lock.type === F_WRLCK ? LOCK_EX : LOCK_SH;
      return file.flock(handles.fd(slot), how | LOCK_NB);
    }
    const key = keyOf(lock);
    // Nothing of an owner without a descriptor is locked.
    if (lock.type === F_UNLCK && this.#owners.get(nodeid)?.get(key) === undefined) {
      return 0;
    }
    const owner = this.#ownerOf(nodeid, key);
    if (typeof owner === 'number') {
      return owner;
    }
    const result = file.fcntlLock(this.#lend(nodeid, key, owner), F_OFD_SETLK, this.#put(lock));
    this.#keep(nodeid, key, owner);
    return result;
  }

  /** The descriptor that holds an owner's locks on an inode, opened at need. @returns it, to be kept, or a negative errno */
  #ownerOf(nodeid: number, key: string): OwnerFile | number {
    const known = this.#owners.get(nodeid)?.get(key);
    if (known !== undefined) {
      return known;
    }
    const slot = this.#share.inodes.slotOf(nodeid);
    // A guest can make devices: opening one of the host's could do anything.
    if (slot < 0 || this.#share.inodes.type(slot) !== S_IFREG) {
      return -EBADF;
    }
    if (this.#count >= MAX_OWNERS) {
      return -ENOLCK;
    }
    // A write lock takes a descriptor to write with; where there can be none, read locks still work.
    let fd = this.#share.settings.readonly ? -EROFS : this.#share.openInode(slot, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
      fd = this.#share.openInode(slot, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    }
    return fd < 0 ? fd : { fd, device: this.#share.inodes.device(slot) };
  }

  /** The descriptor, for a call; of one that is kept, and may be closed by another request, a copy in a run. */
  #lend(nodeid: number, key: string, owner: OwnerFile): number {
    const { active } = this.#share.runs;
    const kept = this.#owners.get(nodeid)?.get(key) === owner;
    return active !== null && kept ? active.copyOf(-1, () => owner.fd, true) : owner.fd;
  }

  /** Behind the last call of a request. */
  #keep(nodeid: number, key: string, owner: OwnerFile): void {
    const owners = this.#owners.get(nodeid) ?? new Map<string, OwnerFile>();
    if (owners.get(key) === owner) {
      return;
    }
    this.#share.commit();
    this.#owners.set(nodeid, owners.set(key, owner));
    this.#count++;
  }

  #close({ fd, device }: OwnerFile): void {
    this.#share.closeFile(fd, device);
    this.#count--;
  }

  /** Writes the host's form. */
  #put({ startLo, startHi, endLo, endHi, type }: FuseLock): Address {
    const { scratch } = this.#share;
    const { view, bytes, pathAt: at } = scratch;
    bytes.fill(0, at, at + FileLock.byteLength);
    FileLock.type.set(view, at, type);
    view.setUint32(at + FileLock.start.offset, startLo, true);
    view.setUint32(at + FileLock.start.offset + 4, startHi, true);
    if (endLo !== END_LO || endHi !== END_HI) {
      const low = endLo - startLo + 1;
      const carry = low < 0 ? -1 : low >= TWO_32 ? 1 : 0;
      view.setUint32(at + FileLock.len.offset, low, true);
      view.setUint32(at + FileLock.len.offset + 4, endHi - startHi + carry, true);
    }
    return scratch.path;
  }

  /** Reads what F_OFD_GETLK said. */
  #take(lock: FuseLock): void {
    const { view, pathAt: at } = this.#share.scratch;
    lock.type = FileLock.type.get(view, at);
    // The host's processes mean nothing to the guest.
    lock.pid = 0;
    if (lock.type !== F_RDLCK && lock.type !== F_WRLCK) {
      return;
    }
    lock.startLo = FileLock.start.lo(view, at);
    lock.startHi = FileLock.start.hi(view, at);
    const lenLo = FileLock.len.lo(view, at);
    const lenHi = FileLock.len.hi(view, at);
    const open = lenLo === 0 && lenHi === 0;
    const end = open ? 0n : toBigInt(lock.startLo, lock.startHi) + toBigInt(lenLo, lenHi) - 1n;
    lock.endLo = open ? END_LO : Number(end & 0xffff_ffffn);
    lock.endHi = open ? END_HI : Number(end >> 32n);
  }
}

const keyOf = ({ ownerLo, ownerHi }: FuseLock): string => `${ownerHi}:${ownerLo}`;
