/** Payload bytes from values: control messages, so each call makes its own array. */
import {
  VHOST_TRANSFER_STATE_PHASE_STOPPED,
  VHOST_USER_FLAG_MAP_RW,
  VHOST_USER_VRING_NOFD_MASK,
  VHOST_VRING_F_LOG,
  VhostIotlbMsg,
  VhostUserConfig,
  VhostUserInflight,
  VhostUserLog,
  VhostUserMemory,
  VhostUserMemoryRegion,
  VhostUserMemRegMsg,
  VhostUserMMap,
  VhostUserTransferDeviceState,
  VhostUserU64,
  VhostUserVringArea,
  VhostVringAddr,
  VhostVringState,
} from '../layout.ts';

/** One memory region as it stands in a message. Addresses and sizes are safe integers, bytes. */
export interface WireRegion {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
}

function buffer(byteLength: number): [Uint8Array, DataView] {
  const bytes = new Uint8Array(byteLength);
  return [bytes, new DataView(bytes.buffer)];
}

/** A u64 as two u32. */
export function encodeWords(lo: number, hi: number): Uint8Array {
  const [bytes, view] = buffer(VhostUserU64.byteLength);
  VhostUserU64.value.setParts(view, 0, lo, hi);
  return bytes;
}

/** A u64 from a safe integer; a negative errno becomes two's complement. */
export function encodeU64(value: number): Uint8Array {
  return value < 0
    ? encodeWords(value >>> 0, 0xffff_ffff)
    : encodeWords(value >>> 0, Math.floor(value / 0x1_0000_0000));
}

export function encodeVringState(index: number, num: number): Uint8Array {
  const [bytes, view] = buffer(VhostVringState.byteLength);
  VhostVringState.index.set(view, 0, index);
  VhostVringState.num.set(view, 0, num);
  return bytes;
}

/** @param log - GPA at which the used ring is logged; -1: it is not */
export function encodeVringAddr(index: number, desc: number, used: number, avail: number, log = -1): Uint8Array {
  const [bytes, view] = buffer(VhostVringAddr.byteLength);
  VhostVringAddr.index.set(view, 0, index);
  VhostVringAddr.desc.set(view, 0, desc);
  VhostVringAddr.used.set(view, 0, used);
  VhostVringAddr.avail.set(view, 0, avail);
  if (log >= 0) {
    VhostVringAddr.flags.set(view, 0, VHOST_VRING_F_LOG);
    VhostVringAddr.log.set(view, 0, log);
  }
  return bytes;
}

function putRegion(view: DataView, base: number, region: WireRegion): void {
  VhostUserMemoryRegion.guestPhysAddr.set(view, base, region.gpa);
  VhostUserMemoryRegion.memorySize.set(view, base, region.size);
  VhostUserMemoryRegion.userspaceAddr.set(view, base, region.userAddr);
  VhostUserMemoryRegion.mmapOffset.set(view, base, region.mmapOffset);
}

export function encodeMemTable(regions: readonly WireRegion[]): Uint8Array {
  const step = VhostUserMemoryRegion.byteLength;
  const [bytes, view] = buffer(VhostUserMemory.byteLength + regions.length * step);
  VhostUserMemory.nregions.set(view, 0, regions.length);
  for (const [index, region] of regions.entries()) {
    putRegion(view, VhostUserMemory.byteLength + index * step, region);
  }
  return bytes;
}

export function encodeSingleRegion(region: WireRegion): Uint8Array {
  const [bytes, view] = buffer(VhostUserMemRegMsg.byteLength);
  putRegion(view, VhostUserMemRegMsg.region.offset, region);
  return bytes;
}

/** A config payload with `size` bytes of room, filled from `from` as far as that goes. */
export function encodeConfig(offset: number, size: number, flags: number, from?: Uint8Array): Uint8Array {
  const [bytes, view] = buffer(VhostUserConfig.byteLength + size);
  VhostUserConfig.offset.set(view, 0, offset);
  VhostUserConfig.size.set(view, 0, size);
  VhostUserConfig.flags.set(view, 0, flags);
  if (from !== undefined) {
    bytes.set(from, VhostUserConfig.byteLength);
  }
  return bytes;
}

/** What VRING_HOST_NOTIFIER_MSG carries. @param hasFd - false: the notifier is taken away */
export function encodeVringArea(index: number, hasFd: boolean, size: number, offset: number): Uint8Array {
  const [bytes, view] = buffer(VhostUserVringArea.byteLength);
  VhostUserVringArea.u64.setParts(view, 0, index | (hasFd ? 0 : VHOST_USER_VRING_NOFD_MASK), 0);
  VhostUserVringArea.size.set(view, 0, size);
  VhostUserVringArea.offset.set(view, 0, offset);
  return bytes;
}

/** What GET_INFLIGHT_FD and SET_INFLIGHT_FD carry. */
export interface WireInflight {
  readonly mmapSize: number;
  readonly mmapOffset: number;
  readonly numQueues: number;
  readonly queueSize: number;
}

/** With the tail padding of C: 24 bytes. */
export function encodeInflight(inflight: WireInflight): Uint8Array {
  const [bytes, view] = buffer(VhostUserInflight.byteLength);
  VhostUserInflight.mmapSize.set(view, 0, inflight.mmapSize);
  VhostUserInflight.mmapOffset.set(view, 0, inflight.mmapOffset);
  VhostUserInflight.numQueues.set(view, 0, inflight.numQueues);
  VhostUserInflight.queueSize.set(view, 0, inflight.queueSize);
  return bytes;
}

/** What SHMEM_MAP and SHMEM_UNMAP carry. */
export interface WireMMap {
  readonly shmid: number;
  readonly fdOffset: number;
  readonly shmOffset: number;
  readonly len: number;
  readonly writable: boolean;
}

export function encodeMMap(request: WireMMap): Uint8Array {
  const [bytes, view] = buffer(VhostUserMMap.byteLength);
  VhostUserMMap.shmid.set(view, 0, request.shmid);
  VhostUserMMap.fdOffset.set(view, 0, request.fdOffset);
  VhostUserMMap.shmOffset.set(view, 0, request.shmOffset);
  VhostUserMMap.len.set(view, 0, request.len);
  VhostUserMMap.flags.set(view, 0, request.writable ? VHOST_USER_FLAG_MAP_RW : 0);
  return bytes;
}

/** What SET_LOG_BASE carries: where the log lies in its file, bytes. */
export function encodeLog(mmapSize: number, mmapOffset: number): Uint8Array {
  const [bytes, view] = buffer(VhostUserLog.byteLength);
  VhostUserLog.mmapSize.set(view, 0, mmapSize);
  VhostUserLog.mmapOffset.set(view, 0, mmapOffset);
  return bytes;
}

/** What SET_DEVICE_STATE_FD carries, in the one phase there is. */
export function encodeTransfer(direction: number): Uint8Array {
  const [bytes, view] = buffer(VhostUserTransferDeviceState.byteLength);
  VhostUserTransferDeviceState.direction.set(view, 0, direction);
  VhostUserTransferDeviceState.phase.set(view, 0, VHOST_TRANSFER_STATE_PHASE_STOPPED);
  return bytes;
}

/** What IOTLB_MSG carries on either channel. Addresses and sizes are safe integers, bytes. */
export interface IotlbMessage {
  readonly iova: number;
  readonly size: number;
  /** User address; 0 where the type has none. */
  readonly uaddr: number;
  /** VHOST_ACCESS_*, 0: none. */
  readonly perm: number;
  /** VHOST_IOTLB_*. */
  readonly type: number;
}

export function encodeIotlb(message: IotlbMessage): Uint8Array {
  const [bytes, view] = buffer(VhostIotlbMsg.byteLength);
  VhostIotlbMsg.iova.set(view, 0, message.iova);
  VhostIotlbMsg.size.set(view, 0, message.size);
  VhostIotlbMsg.uaddr.set(view, 0, message.uaddr);
  VhostIotlbMsg.perm.set(view, 0, message.perm);
  VhostIotlbMsg.type.set(view, 0, message.type);
  return bytes;
}
