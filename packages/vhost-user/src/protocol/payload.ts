/** Payload shapes of the protocol: which sizes each may have. A message names one for its request and one for its reply. */
import {
  VhostIotlbMsg,
  VhostUserConfig,
  VhostUserInflight,
  VhostUserLog,
  VhostUserMemory,
  VhostUserMemoryRegion,
  VhostUserMemRegMsg,
  VhostUserMMap,
  VhostUserShared,
  VhostUserShMemConfig,
  VhostUserTransferDeviceState,
  VhostUserU64,
  VhostUserVringArea,
  VhostVringAddr,
  VhostVringState,
} from '../layout.ts';

/** Largest payload that either side accepts, bytes: more than any message of the table needs. */
export const MAX_PAYLOAD = 4096;

/** Most regions in one SET_MEM_TABLE, as the specification has it (each comes with a descriptor, 8 of which one message bears). */
export const MAX_TABLE_REGIONS = 8;

/** A payload shape. */
export interface PayloadRule {
  readonly name: string;
  /** Allowed sizes in words, for documentation. */
  readonly sizes: string;
  readonly min: number;
  readonly max: number;
  /** Whether `size` bytes at the start of `view` have a size that this payload may have. Looks only at counts and sizes. */
  accepts(view: DataView, size: number): boolean;
}

/** A payload of one size, bytes. */
export function exactly(name: string, size: number): PayloadRule {
  return { name, sizes: String(size), min: size, max: size, accepts: (_view, got) => got === size };
}

export const EMPTY = exactly('empty', 0);
export const U64_PAYLOAD = exactly('u64', VhostUserU64.byteLength);
export const VRING_STATE = exactly('vring state', VhostVringState.byteLength);
export const VRING_ADDR = exactly('vring addr', VhostVringAddr.byteLength);
export const SINGLE_REGION = exactly('single region', VhostUserMemRegMsg.byteLength);
export const LOG = exactly('log', VhostUserLog.byteLength);
export const IOTLB = exactly('iotlb', VhostIotlbMsg.byteLength);
export const VRING_AREA = exactly('vring area', VhostUserVringArea.byteLength);
export const TRANSFER_STATE = exactly('transfer state', VhostUserTransferDeviceState.byteLength);
export const MMAP = exactly('mmap', VhostUserMMap.byteLength);
export const UUID = exactly('uuid', VhostUserShared.byteLength);

/** 8 + 32n bytes, n regions. */
export const MEM_TABLE: PayloadRule = {
  name: 'mem table',
  sizes: '8+32n, n<=8',
  min: VhostUserMemory.byteLength,
  max: VhostUserMemory.byteLength + MAX_TABLE_REGIONS * VhostUserMemoryRegion.byteLength,
  accepts: (view, size) => {
    if (size < VhostUserMemory.byteLength) {
      return false;
    }
    const count = VhostUserMemory.nregions.get(view, 0);
    return count <= MAX_TABLE_REGIONS && size === VhostUserMemory.byteLength + count * VhostUserMemoryRegion.byteLength;
  },
};

/** 12 + n bytes, n of them configuration. */
export const CONFIG: PayloadRule = {
  name: 'config',
  sizes: '12+n',
  min: VhostUserConfig.byteLength,
  max: MAX_PAYLOAD,
  accepts: (view, size) =>
    size >= VhostUserConfig.byteLength && size - VhostUserConfig.byteLength === VhostUserConfig.size.get(view, 0),
};

/** The reply to GET_CONFIG: as asked, or a failure in one of the two forms that back-ends use. */
export const CONFIG_REPLY: PayloadRule = {
  name: 'config',
  sizes: '12+n, or 0 as failure',
  min: 0,
  max: MAX_PAYLOAD,
  accepts: (view, size) => size === 0 || CONFIG.accepts(view, size),
};

/** The reply to SET_LOG_BASE: libvhost-user sends a u64 or nothing, rust-vmm the request again. */
export const LOG_REPLY: PayloadRule = {
  name: 'log reply',
  sizes: '8 (0, 16 accepted)',
  min: 0,
  max: VhostUserLog.byteLength,
  accepts: (_view, size) => size === 0 || size === VhostUserU64.byteLength || size === VhostUserLog.byteLength,
};

/** 24 bytes with the C structure's tail padding, 20 without. */
export const INFLIGHT: PayloadRule = {
  name: 'inflight',
  sizes: '24 (20 accepted)',
  min: 20,
  max: VhostUserInflight.byteLength,
  accepts: (_view, size) => size === 20 || size === VhostUserInflight.byteLength,
};

/** 16 bytes; QEMU sends GET_SHARED_OBJECT without them. */
export const UUID_OR_EMPTY: PayloadRule = {
  name: 'uuid',
  sizes: '16 (0 accepted)',
  min: 0,
  max: VhostUserShared.byteLength,
  accepts: (_view, size) => size === 0 || size === VhostUserShared.byteLength,
};

/** 2056 bytes; a short form that ends after the last region is accepted, as QEMU does. */
export const SHMEM_CONFIG: PayloadRule = {
  name: 'shmem config',
  sizes: '2056 (8+8n accepted)',
  min: 8,
  max: VhostUserShMemConfig.byteLength,
  accepts: (_view, size) => size >= 8 && size <= VhostUserShMemConfig.byteLength && size % 8 === 0,
};

/** Crypto sessions: a structure that no two implementations agree on; never served here, so only bounded. */
export const CRYPTO_SESSION: PayloadRule = {
  name: 'crypto session',
  sizes: 'any',
  min: 0,
  max: MAX_PAYLOAD,
  accepts: (_view, size) => size <= MAX_PAYLOAD,
};
