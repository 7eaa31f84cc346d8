/**
 * What a back-end may ask: the values of every back-channel request are looked at here, once, before anyone uses them. Shape
 * and gate were checked against the message table.
 */
import { isSafeUnsigned, rangeFits } from '@oriel/layout';
import { VhostUserError } from '../errors.ts';
import {
  VHOST_ACCESS_RW,
  VHOST_IOTLB_ACCESS_FAIL,
  VHOST_IOTLB_MISS,
  VHOST_USER_FLAG_MAP_RW,
  VHOST_USER_VRING_IDX_MASK,
  VHOST_USER_VRING_NOFD_MASK,
  VhostIotlbMsg,
  VhostUserMMap,
  VhostUserShared,
  VhostUserVringArea,
  VhostVringState,
} from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { IotlbMessage } from '../protocol/encode.ts';
import type { HostNotifier, ShmemRequest } from './handlers.ts';
import type { ShmRegion } from './negotiate.ts';

/** SHMEM_MAP, SHMEM_UNMAP. @throws VhostUserError ERR_VU_MEMORY for a range that no region has, or unknown flags */
export function checkShmem({ view }: IncomingMessage, regions: readonly ShmRegion[]): ShmemRequest {
  const flags = VhostUserMMap.flags.get(view, 0);
  const request = {
    shmid: VhostUserMMap.shmid.get(view, 0),
    fdOffset: VhostUserMMap.fdOffset.get(view, 0),
    shmOffset: VhostUserMMap.shmOffset.get(view, 0),
    len: VhostUserMMap.len.get(view, 0),
    writable: flags === VHOST_USER_FLAG_MAP_RW,
  };
  const size = regions.find((region) => region.shmid === request.shmid)?.size ?? 0;
  const good =
    (flags === 0 || flags === VHOST_USER_FLAG_MAP_RW) &&
    request.len > 0 &&
    rangeFits(request.shmOffset, request.len, size) &&
    safeRange(request.fdOffset, request.len);
  if (!good) {
    throw bad('ERR_VU_MEMORY', `range ${JSON.stringify({ ...request, flags, size })}`);
  }
  return request;
}

/** VRING_CALL, VRING_ERR: the ring's index. @throws VhostUserError ERR_VU_INDEX */
export function checkRing({ view }: IncomingMessage, queueCount: number): number {
  const index = VhostVringState.index.get(view, 0);
  if (index >= queueCount) {
    throw bad('ERR_VU_INDEX', `ring ${index} of ${queueCount}`);
  }
  return index;
}

/** VRING_HOST_NOTIFIER_MSG. @throws VhostUserError ERR_VU_INDEX, ERR_VU_MEMORY */
export function checkNotifier({ view }: IncomingMessage, queueCount: number): HostNotifier {
  const word = VhostUserVringArea.u64.lo(view, 0);
  const index = word & VHOST_USER_VRING_IDX_MASK;
  const unknown = word & ~(VHOST_USER_VRING_IDX_MASK | VHOST_USER_VRING_NOFD_MASK);
  if (index >= queueCount || unknown !== 0 || VhostUserVringArea.u64.hi(view, 0) !== 0) {
    throw bad('ERR_VU_INDEX', `ring ${index} of ${queueCount}, bits 0x${(unknown >>> 0).toString(16)}`);
  }
  const size = VhostUserVringArea.size.get(view, 0);
  const offset = VhostUserVringArea.offset.get(view, 0);
  if ((word & VHOST_USER_VRING_NOFD_MASK) === 0 && (size === 0 || !safeRange(offset, size))) {
    throw bad('ERR_VU_MEMORY', `notifier of ${size} bytes from ${offset}`);
  }
  return { index, size, offset };
}

/** IOTLB_MSG: a miss, or an access that failed. @throws VhostUserError ERR_VU_MEMORY */
export function checkIotlb({ view }: IncomingMessage): IotlbMessage {
  const message = {
    iova: VhostIotlbMsg.iova.get(view, 0),
    size: VhostIotlbMsg.size.get(view, 0),
    uaddr: VhostIotlbMsg.uaddr.get(view, 0),
    perm: VhostIotlbMsg.perm.get(view, 0),
    type: VhostIotlbMsg.type.get(view, 0),
  };
  const good =
    (message.type === VHOST_IOTLB_MISS || message.type === VHOST_IOTLB_ACCESS_FAIL) &&
    message.perm <= VHOST_ACCESS_RW &&
    safeRange(message.iova, message.size) &&
    isSafeUnsigned(message.uaddr);
  if (!good) {
    throw bad('ERR_VU_MEMORY', `IOTLB ${JSON.stringify(message)}`);
  }
  return message;
}

/** SHARED_OBJECT_*: a copy of the UUID. Every one is as good as another. */
export function uuidOf({ bytes }: IncomingMessage): Uint8Array {
  return bytes.slice(0, VhostUserShared.byteLength);
}

function safeRange(start: number, len: number): boolean {
  return isSafeUnsigned(start) && isSafeUnsigned(len) && isSafeUnsigned(start + len);
}

function bad(code: 'ERR_VU_MEMORY' | 'ERR_VU_INDEX', detail: string): VhostUserError {
  return new VhostUserError(code, 'backend', detail);
}
