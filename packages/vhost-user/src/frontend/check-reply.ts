/**
 * What a back-end's replies may be: every value of theirs is looked at here, before anyone uses it. The frame (flags, number,
 * size, descriptors) is `frameError`'s; a reader per message sees to the values.
 */
import { isSafeUnsigned } from '@oriel/layout';
import { errnoName, type Fd } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import { FeatureSet } from '../features.ts';
import {
  VHOST_USER_REPLY_FLAGS,
  VHOST_USER_VRING_NOFD_MASK,
  VhostUserConfig,
  VhostUserInflight,
  VhostUserShMemConfig,
  VhostUserU64,
  VhostVringState,
} from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { MessageSpec } from '../protocol/messages.ts';
import { U64_PAYLOAD } from '../protocol/payload.ts';
import type { ShmRegion } from './negotiate.ts';

/** A reply of a message that has its own: the descriptors are the receiver's. */
export interface Reply {
  readonly payload: Uint8Array;
  readonly fds: Fd[];
}

/** Turns a reply whose frame is good into its value. @throws VhostUserError ERR_VU_REPLY, ERR_VU_REFUSED */
export type Reader<T> = (payload: DataView, fds: readonly Fd[], message: string) => T;

/** More rings than any transport can address. */
const MAX_QUEUES = 0xffff;
const MAX_STATUS = 0xff;
const TRANSFER_ERROR_MASK = 0xff;

/** @returns what is wrong with a reply's frame, or null */
export function frameError(message: IncomingMessage, spec: MessageSpec): VhostUserError | null {
  const payload = spec.reply === 'ack' ? U64_PAYLOAD : spec.reply.payload;
  const maxFds = spec.reply === 'ack' ? 0 : spec.reply.maxFds;
  const good =
    message.flags === VHOST_USER_REPLY_FLAGS &&
    message.id === spec.id &&
    payload.accepts(message.view, message.size) &&
    message.fds.count <= maxFds;
  return good
    ? null
    : new VhostUserError(
        'ERR_VU_REPLY',
        'backend',
        `reply ${message.id}, flags 0x${message.flags.toString(16)}, ${message.size} bytes, ${message.fds.count} descriptors`,
        { message: spec.name },
      );
}

/** @returns null for a u64 of 0; some back-ends put a negated errno there, others just 1 */
export function refusal(view: DataView, message: string): VhostUserError | null {
  const lo = VhostUserU64.value.lo(view, 0);
  const hi = VhostUserU64.value.hi(view, 0);
  if (lo === 0 && hi === 0) {
    return null;
  }
  const errno = hi === 0xffff_ffff ? errnoName(-(lo | 0)) : `value ${lo}`;
  return new VhostUserError('ERR_VU_REFUSED', 'backend', errno, { message });
}

/**
 * The value of a reply. Descriptors that the value does not hold are closed, all of them when it is bad.
 * @throws VhostUserError ERR_VU_REPLY, ERR_VU_REFUSED
 */
export function readReply<T>(reply: Reply, message: string, read: Reader<T>): T {
  const { payload, fds } = reply;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  try {
    return read(view, fds, message);
  } catch (error) {
    for (const fd of fds) {
      fd.close();
    }
    throw error;
  }
}

/** Feature bits of either kind. */
export const readFeatures: Reader<FeatureSet> = (view) =>
  new FeatureSet(VhostUserU64.value.lo(view, 0), VhostUserU64.value.hi(view, 0));

/** GET_QUEUE_NUM. */
export const readQueueCount: Reader<number> = (view, _fds, message) => bounded(view, 1, MAX_QUEUES, message);

/** GET_MAX_MEM_SLOTS. */
export const readSlots: Reader<number> = (view, _fds, message) => bounded(view, 1, Number.MAX_SAFE_INTEGER, message);

/** GET_STATUS. */
export const readStatus: Reader<number> = (view, _fds, message) => bounded(view, 0, MAX_STATUS, message);

/** IOTLB_MSG, POSTCOPY_END, CHECK_DEVICE_STATE: a u64 that is no more than an ack. */
export const readAck: Reader<undefined> = (view, _fds, message) => {
  const error = refusal(view, message);
  if (error !== null) {
    throw error;
  }
};

/** SET_LOG_BASE: a u64, nothing, or the request again, as back-ends differ. */
export const readLogAnswer: Reader<undefined> = (view, fds, message) =>
  view.byteLength === VhostUserU64.byteLength ? readAck(view, fds, message) : undefined;

/** GET_VRING_BASE of ring `index`: its base. */
export function readBase(index: number): Reader<number> {
  return (view, _fds, message) => {
    const got = VhostVringState.index.get(view, 0);
    if (got !== index) {
      throw bad(`ring ${got}, ring ${index} was asked for`, message);
    }
    return VhostVringState.num.get(view, 0);
  };
}

/** GET_CONFIG of `size` bytes: these bytes. Either way of failing is ERR_VU_REFUSED. */
export function readConfigBytes(size: number): Reader<Uint8Array> {
  return (view, _fds, message) => {
    if (view.byteLength !== VhostUserConfig.byteLength + size) {
      const detail = `${view.byteLength} bytes for a range of ${size}`;
      throw new VhostUserError('ERR_VU_REFUSED', 'backend', detail, { message });
    }
    return new Uint8Array(view.buffer, view.byteOffset + VhostUserConfig.byteLength, size);
  };
}

/** GET_SHMEM_CONFIG: regions that are there, by shmid; a short answer ends after the last. */
export const readShmConfig: Reader<readonly ShmRegion[]> = (view, _fds, message) => {
  const regions: ShmRegion[] = [];
  const first = VhostUserShMemConfig.memorySizes.offset;
  for (let shmid = 0; first + 8 * (shmid + 1) <= view.byteLength; shmid++) {
    const size = VhostUserShMemConfig.memorySizes.get(view, 0, shmid);
    if (!isSafeUnsigned(size)) {
      throw bad('region size beyond 2^53', message);
    }
    if (size > 0) {
      regions.push({ shmid, size });
    }
  }
  return regions;
};

/** GET_INFLIGHT_FD: where in its file the memory lies. The file is only handed back, so it is not looked at. */
export const readInflight: Reader<{ mmapSize: number; mmapOffset: number; fd: Fd }> = (view, fds, message) => {
  const mmapSize = VhostUserInflight.mmapSize.get(view, 0);
  const mmapOffset = VhostUserInflight.mmapOffset.get(view, 0);
  if (mmapSize === 0) {
    throw new VhostUserError('ERR_VU_REFUSED', 'backend', 'no in-flight memory', { message });
  }
  if (!isSafeUnsigned(mmapSize) || !isSafeUnsigned(mmapOffset) || !isSafeUnsigned(mmapSize + mmapOffset)) {
    throw bad(`${mmapSize} bytes from ${mmapOffset}`, message);
  }
  return { mmapSize, mmapOffset, fd: oneFd(fds, message) };
};

/** POSTCOPY_ADVISE: the userfaultfd. */
export const readOneFd: Reader<Fd> = (_view, fds, message) => oneFd(fds, message);

/** GET_SHARED_OBJECT: the descriptor, or null when the back-end has no such object. */
export const readMaybeFd: Reader<Fd | null> = (_view, fds) => fds[0] ?? null;

/** SET_DEVICE_STATE_FD: null where the descriptor that was sent is used, else the back-end's own. */
export const readTransfer: Reader<Fd | null> = (view, fds, message) => {
  const lo = VhostUserU64.value.lo(view, 0);
  const error = lo & TRANSFER_ERROR_MASK;
  if (error !== 0) {
    throw new VhostUserError('ERR_VU_REFUSED', 'backend', `value ${error}`, { message });
  }
  const own = (lo & VHOST_USER_VRING_NOFD_MASK) === 0;
  if (own !== fds.length > 0) {
    throw bad(`value 0x${lo.toString(16)} with ${fds.length} descriptors`, message);
  }
  return fds[0] ?? null;
};

/** CREATE_CRYPTO_SESSION: the structure of the request with the session in it. */
export function readSession(size: number): Reader<Uint8Array> {
  return (view, _fds, message) => {
    if (view.byteLength !== size) {
      throw bad(`${view.byteLength} bytes, the request had ${size}`, message);
    }
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  };
}

function bounded(view: DataView, least: number, most: number, message: string): number {
  const value = VhostUserU64.value.get(view, 0);
  if (value < least || value > most) {
    throw bad(`${value} is not in ${least}..${most}`, message);
  }
  return value;
}

function oneFd(fds: readonly Fd[], message: string): Fd {
  const fd = fds[0];
  if (fd === undefined) {
    throw bad('no descriptor', message);
  }
  return fd;
}

function bad(detail: string, message: string): VhostUserError {
  return new VhostUserError('ERR_VU_REPLY', 'backend', detail, { message });
}
