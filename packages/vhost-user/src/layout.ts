/**
 * Every structure of the vhost-user wire (QEMU docs/interop/vhost-user.rst, "Message Specification"). Host byte order, which
 * is little-endian on every host that Oriel runs on.
 */
import { array, bytes, pad, struct, U8, U16, U32, U64 } from '@oriel/layout';

/** `VhostUserHeader`: 12 bytes before every payload. */
export const VhostUserHeader = struct('VhostUserHeader', { request: U32, flags: U32, size: U32 });

/** Flags of a header. */
export const VHOST_USER_VERSION = 0x1;
export const VHOST_USER_VERSION_MASK = 0x3;
export const VHOST_USER_REPLY_MASK = 0x4;
export const VHOST_USER_NEED_REPLY_MASK = 0x8;
/** What every reply carries, exactly: version 1 and REPLY. */
export const VHOST_USER_REPLY_FLAGS = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;

/** A single 64-bit integer. */
export const VhostUserU64 = struct('VhostUserU64', { value: U64 });

/** `vhost_vring_state`. */
export const VhostVringState = struct('vhost_vring_state', { index: U32, num: U32 });

/** `vhost_vring_addr`: mind the order, used stands before avail. */
export const VhostVringAddr = struct('vhost_vring_addr', {
  index: U32,
  flags: U32,
  desc: U64,
  used: U64,
  avail: U64,
  log: U64,
});

/** `VhostUserMemoryRegion`. */
export const VhostUserMemoryRegion = struct('VhostUserMemoryRegion', {
  guestPhysAddr: U64,
  memorySize: U64,
  userspaceAddr: U64,
  mmapOffset: U64,
});

/** `VhostUserMemoryRegion` under XEN_MMAP. */
export const VhostUserMemoryRegionXen = struct('VhostUserMemoryRegionXen', {
  guestPhysAddr: U64,
  memorySize: U64,
  userspaceAddr: U64,
  mmapOffset: U64,
  xenMmapFlags: U32,
  domid: U32,
});

/** Head of `VhostUserMemory`; `nregions` regions follow. */
export const VhostUserMemory = struct('VhostUserMemory', { nregions: U32, padding: pad(4) });

/** `VhostUserMemRegMsg`: one region, for ADD_MEM_REG and REM_MEM_REG. */
export const VhostUserMemRegMsg = struct('VhostUserMemRegMsg', {
  padding: U64,
  region: bytes(VhostUserMemoryRegion.byteLength, 8),
});

/** `VhostUserLog`. */
export const VhostUserLog = struct('VhostUserLog', { mmapSize: U64, mmapOffset: U64 });

/** `VHOST_LOG_PAGE`: bytes of guest memory for each bit of the log, whatever the page size. */
export const VHOST_LOG_PAGE = 4096;

/** `vhost_iotlb_msg`. */
export const VhostIotlbMsg = struct('vhost_iotlb_msg', {
  iova: U64,
  size: U64,
  uaddr: U64,
  perm: U8,
  type: U8,
  padding: pad(6),
});

/** `vhost_iotlb_msg.perm`. */
export const VHOST_ACCESS_RO = 0x1;
export const VHOST_ACCESS_WO = 0x2;
export const VHOST_ACCESS_RW = 0x3;
/** `vhost_iotlb_msg.type`. */
export const VHOST_IOTLB_MISS = 1;
export const VHOST_IOTLB_UPDATE = 2;
export const VHOST_IOTLB_INVALIDATE = 3;
export const VHOST_IOTLB_ACCESS_FAIL = 4;

/** Head of `VhostUserConfig`; `size` bytes follow. */
export const VhostUserConfig = struct('VhostUserConfig', { offset: U32, size: U32, flags: U32 });

/** `VhostUserVringArea`. */
export const VhostUserVringArea = struct('VhostUserVringArea', { u64: U64, size: U64, offset: U64 });

/** `VhostUserInflight` with its C tail padding: 24 bytes are sent, 20 are accepted. */
export const VhostUserInflight = struct('VhostUserInflight', {
  mmapSize: U64,
  mmapOffset: U64,
  numQueues: U16,
  queueSize: U16,
  padding: pad(4),
});

/** `VhostUserShared`: a UUID, RFC 4122 bytes. */
export const VhostUserShared = struct('VhostUserShared', { uuid: bytes(16) });

/** `VhostUserTransferDeviceState`. */
export const VhostUserTransferDeviceState = struct('VhostUserTransferDeviceState', { direction: U32, phase: U32 });

/** `VhostUserTransferDeviceState.direction` and `phase`. */
export const VHOST_TRANSFER_STATE_DIRECTION_SAVE = 0;
export const VHOST_TRANSFER_STATE_DIRECTION_LOAD = 1;
export const VHOST_TRANSFER_STATE_PHASE_STOPPED = 0;

/** `VhostUserMMap`: SHMEM_MAP and SHMEM_UNMAP. */
export const VhostUserMMap = struct('VhostUserMMap', {
  shmid: U8,
  padding: pad(7),
  fdOffset: U64,
  shmOffset: U64,
  len: U64,
  flags: U64,
});

/** `VhostUserMMap.flags`: the mapping is for reading and writing. */
export const VHOST_USER_FLAG_MAP_RW = 0x1;

/** Regions that a device can have: one for each shmid 0..255. */
export const VIRTIO_MAX_SHMEM_REGIONS = 256;

/** `VhostUserShMemConfig`: `nregions` is the count of sizes that are not 0, `memorySizes` is indexed by shmid. */
export const VhostUserShMemConfig = struct('VhostUserShMemConfig', {
  nregions: U32,
  padding: pad(4),
  memorySizes: array(U64, VIRTIO_MAX_SHMEM_REGIONS),
});

/** `u64` of SET_VRING_KICK, CALL and ERR: ring index in the low byte. */
export const VHOST_USER_VRING_IDX_MASK = 0xff;
/** `u64` of SET_VRING_KICK, CALL and ERR: no descriptor comes with it. */
export const VHOST_USER_VRING_NOFD_MASK = 0x100;

/** `vhost_vring_addr.flags`: the used ring is logged. */
export const VHOST_VRING_F_LOG = 0x1;
