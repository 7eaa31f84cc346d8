/** Payload bytes with any value in any field: the encoders of a front-end that means well would refuse these. */

import type { U64Field } from '@oriel/layout';
import {
  type FeatureSet,
  VhostIotlbMsg,
  VhostUserConfig,
  VhostUserInflight,
  VhostUserLog,
  VhostUserMemory,
  VhostUserMemoryRegion,
  VhostUserMemRegMsg,
  VhostUserTransferDeviceState,
  VhostUserU64,
  VhostVringAddr,
  VhostVringState,
} from '@oriel/vhost-user';

/** A u64 with all its bits. */
export type Word = number | bigint;

/** The largest u64. */
export const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** Writes all 64 bits of a value. */
export function put64(field: U64Field, view: DataView, base: number, value: Word): void {
  const word = BigInt(value);
  field.setParts(view, base, Number(word & 0xffff_ffffn), Number((word >> 32n) & 0xffff_ffffn));
}

/** A memory region as it stands in a message. */
export interface Region {
  readonly gpa: Word;
  readonly size: Word;
  readonly user: Word;
  readonly offset: Word;
}

function buffer(byteLength: number): DataView {
  return new DataView(new ArrayBuffer(byteLength));
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}

/** A single u64. */
export function u64(value: Word): Uint8Array {
  const view = buffer(VhostUserU64.byteLength);
  put64(VhostUserU64.value, view, 0, value);
  return bytesOf(view);
}

/** A feature set as a single u64. */
export function featureWords({ lo, hi }: FeatureSet): Uint8Array {
  return u64((BigInt(hi) << 32n) | BigInt(lo));
}

/** `vhost_vring_state`. */
export function vringState(index: number, num: number): Uint8Array {
  const view = buffer(VhostVringState.byteLength);
  VhostVringState.index.set(view, 0, index);
  VhostVringState.num.set(view, 0, num);
  return bytesOf(view);
}

/** Where a ring stands, in user addresses. */
export interface RingAddresses {
  readonly desc: Word;
  readonly avail: Word;
  readonly used: Word;
  readonly flags?: number;
  readonly log?: Word;
}

/** `vhost_vring_addr`. */
export function vringAddr(index: number, at: RingAddresses): Uint8Array {
  const view = buffer(VhostVringAddr.byteLength);
  VhostVringAddr.index.set(view, 0, index);
  VhostVringAddr.flags.set(view, 0, at.flags ?? 0);
  put64(VhostVringAddr.desc, view, 0, at.desc);
  put64(VhostVringAddr.used, view, 0, at.used);
  put64(VhostVringAddr.avail, view, 0, at.avail);
  put64(VhostVringAddr.log, view, 0, at.log ?? 0);
  return bytesOf(view);
}

function putRegion(view: DataView, base: number, region: Region): void {
  put64(VhostUserMemoryRegion.guestPhysAddr, view, base, region.gpa);
  put64(VhostUserMemoryRegion.memorySize, view, base, region.size);
  put64(VhostUserMemoryRegion.userspaceAddr, view, base, region.user);
  put64(VhostUserMemoryRegion.mmapOffset, view, base, region.offset);
}

/** `VhostUserMemory`; `count` is what the message says, whatever follows. */
export function memTable(regions: readonly Region[], count = regions.length): Uint8Array {
  const view = buffer(VhostUserMemory.byteLength + regions.length * VhostUserMemoryRegion.byteLength);
  VhostUserMemory.nregions.set(view, 0, count);
  for (const [index, region] of regions.entries()) {
    putRegion(view, VhostUserMemory.byteLength + index * VhostUserMemoryRegion.byteLength, region);
  }
  return bytesOf(view);
}

/** `VhostUserMemRegMsg`. */
export function singleRegion(region: Region): Uint8Array {
  const view = buffer(VhostUserMemRegMsg.byteLength);
  putRegion(view, VhostUserMemRegMsg.region.offset, region);
  return bytesOf(view);
}

/** `VhostUserLog`. */
export function log(size: Word, offset: Word): Uint8Array {
  const view = buffer(VhostUserLog.byteLength);
  put64(VhostUserLog.mmapSize, view, 0, size);
  put64(VhostUserLog.mmapOffset, view, 0, offset);
  return bytesOf(view);
}

/** `VhostUserInflight`. */
export function inflight(size: Word, offset: Word, queues: number, queueSize: number): Uint8Array {
  const view = buffer(VhostUserInflight.byteLength);
  put64(VhostUserInflight.mmapSize, view, 0, size);
  put64(VhostUserInflight.mmapOffset, view, 0, offset);
  VhostUserInflight.numQueues.set(view, 0, queues);
  VhostUserInflight.queueSize.set(view, 0, queueSize);
  return bytesOf(view);
}

/** `VhostUserConfig`; `size` is what the message says, `room` how many bytes follow. */
export function config(offset: number, size: number, flags = 0, room = size): Uint8Array {
  const view = buffer(VhostUserConfig.byteLength + room);
  VhostUserConfig.offset.set(view, 0, offset);
  VhostUserConfig.size.set(view, 0, size);
  VhostUserConfig.flags.set(view, 0, flags);
  return bytesOf(view);
}

/** `vhost_iotlb_msg`. */
export function iotlb(iova: Word, size: Word, uaddr: Word, type: number): Uint8Array {
  const view = buffer(VhostIotlbMsg.byteLength);
  put64(VhostIotlbMsg.iova, view, 0, iova);
  put64(VhostIotlbMsg.size, view, 0, size);
  put64(VhostIotlbMsg.uaddr, view, 0, uaddr);
  VhostIotlbMsg.perm.set(view, 0, 3);
  VhostIotlbMsg.type.set(view, 0, type);
  return bytesOf(view);
}

/** `VhostUserTransferDeviceState`. */
export function transferState(direction: number, phase: number): Uint8Array {
  const view = buffer(VhostUserTransferDeviceState.byteLength);
  VhostUserTransferDeviceState.direction.set(view, 0, direction);
  VhostUserTransferDeviceState.phase.set(view, 0, phase);
  return bytesOf(view);
}
