/** Payload bytes from values: control messages, so each call makes its own array. */
import {
  VHOST_USER_FLAG_MAP_RW,
  VhostUserConfig,
  VhostUserMemory,
  VhostUserMemoryRegion,
  VhostUserMemRegMsg,
  VhostUserMMap,
  VhostUserU64,
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

export function encodeVringAddr(index: number, desc: number, used: number, avail: number): Uint8Array {
  const [bytes, view] = buffer(VhostVringAddr.byteLength);
  VhostVringAddr.index.set(view, 0, index);
  VhostVringAddr.desc.set(view, 0, desc);
  VhostVringAddr.used.set(view, 0, used);
  VhostVringAddr.avail.set(view, 0, avail);
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
