/** What an embedder of the front-end side gives: answers to back-channel requests, and where its windows lie. */
import type { EventLoop, Fd, Logger, Sys } from '@oriel/sys';
import type { IotlbMessage } from '../protocol/encode.ts';
import type { SharedObjects } from './shared-objects.ts';

/** A SHMEM_MAP or SHMEM_UNMAP whose range lies in a region of the device, in bytes. Alignment and overlap are the embedder's. */
export interface ShmemRequest {
  readonly shmid: number;
  readonly fdOffset: number;
  readonly shmOffset: number;
  readonly len: number;
  readonly writable: boolean;
}

/** A page that the guest may write to kick a ring, in bytes of its file; without a descriptor it is taken back. */
export interface HostNotifier {
  readonly index: number;
  readonly size: number;
  readonly offset: number;
}

/** Answers to the back-end's requests. An absent one is refused with EOPNOTSUPP. */
export interface FrontendHandlers {
  /** SHMEM_MAP: `fd` is given away. @returns 0 or a negative errno */
  shmemMap?(request: ShmemRequest, fd: Fd): number;
  /** SHMEM_UNMAP: `fdOffset` and `writable` mean nothing. @returns 0 or a negative errno */
  shmemUnmap?(request: ShmemRequest): number;
  /** CONFIG_CHANGE_MSG. */
  configChange?(): void;
  /** VRING_CALL: the back-end has used chains of this ring, and has no call eventfd for it. */
  ringCalled?(index: number): void;
  /** VRING_ERR: this ring is broken. */
  ringFailed?(index: number): void;
  /** IOTLB_MSG: a translation is missing (answer it by `iotlb.update`), or an access failed. @returns 0 or a negative errno */
  iotlb?(message: IotlbMessage): number;
  /** VRING_HOST_NOTIFIER_MSG: `fd` is given away, null: taken back. @returns 0 or a negative errno */
  hostNotifier?(notifier: HostNotifier, fd: Fd | null): number;
  /** The connection ended by the back-end's doing. */
  disconnected?(reason: string): void;
}

/** Where a window lies: in the guest and in this process. */
export interface WindowPlacement {
  readonly gpa: number;
  readonly userAddr: number;
}

/** What a front-end connection is made of. */
export interface FrontendOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop'>;
  readonly loop: EventLoop;
  /** Connected socket, given away. */
  readonly socket: Fd;
  readonly handlers?: FrontendHandlers;
  readonly log?: Logger;
  /**
   * Given: after a MAP or UNMAP was answered with 0, the back-end is told by ADD_MEM_REG or REM_MEM_REG, as QEMU does; this
   * says where the window of an shmid lies (null: not told). Needs CONFIGURE_MEM_SLOTS.
   */
  readonly announce?: (shmid: number) => WindowPlacement | null;
  /** Where this back-end's shared objects are known; SHARED_OBJECT_* is refused without. */
  readonly sharedObjects?: SharedObjects;
  /** Protocol feature bit that means SHMEM; default 22. */
  readonly shmemBit?: number;
}
