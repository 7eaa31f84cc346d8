/** Structures of the cross-domain protocol (rutabaga's cross_domain_protocol.rs): in SUBMIT_3D, and in the guest's rings. */
import { array, bytes, I32, pad, struct, U8, U16, U32, U64 } from '@oriel/layout';
import { CROSS_DOMAIN_MAX_IDENTIFIERS, CROSS_DOMAIN_OLD_MAX_IDENTIFIERS } from './values.ts';

/** The capset's data, 16 bytes. */
export const CrossDomainCapabilities = struct('CrossDomainCapabilities', {
  version: U32,
  /** Bit n: channel type n. */
  supportedChannels: U32,
  supportsDmabuf: U32,
  supportsExternalGpuMemory: U32,
});

/** Before every command. `cmdSize` counts the header and what follows; it is 0 in what goes to the guest. */
export const CrossDomainHeader = struct('CrossDomainHeader', { cmd: U8, ringIdx: U8, cmdSize: U16, pad: U32 });

const HDR = bytes(CrossDomainHeader.byteLength, 4);

/** INIT of sommelier before 2023, 16 bytes: one ring for all. */
export const CrossDomainInitLegacy = struct('CrossDomainInitLegacy', { hdr: HDR, queryRingId: U32, channelType: U32 });

/** INIT, 20 bytes. */
export const CrossDomainInit = struct('CrossDomainInit', {
  hdr: HDR,
  queryRingId: U32,
  channelRingId: U32,
  channelType: U32,
});

/** INIT of muvm, 24 bytes. */
export const CrossDomainInitVersioned = struct('CrossDomainInitVersioned', {
  hdr: HDR,
  queryRingId: U32,
  channelRingId: U32,
  channelType: U32,
  protocolVersion: U32,
});

/** INIT of rutabaga since 2026, 36 bytes. */
export const CrossDomainInitUuid = struct('CrossDomainInitUuid', {
  hdr: HDR,
  queryRingId: U32,
  channelRingId: U32,
  channelType: U32,
  uuid: bytes(16),
});

export const CrossDomainGetImageRequirements = struct('CrossDomainGetImageRequirements', {
  hdr: HDR,
  width: U32,
  height: U32,
  /** fourcc */
  drmFormat: U32,
  /** GBM_BO_USE_* */
  flags: U32,
});

/** Answer of GET_IMAGE_REQUIREMENTS at the start of the query ring, 64 bytes, no header. */
export const CrossDomainImageRequirements = struct('CrossDomainImageRequirements', {
  strides: array(U32, 4),
  offsets: array(U32, 4),
  modifier: U64,
  size: U64,
  blobId: U32,
  mapInfo: U32,
  memoryIdx: I32,
  physicalDeviceIdx: I32,
});

export const CrossDomainPoll = struct('CrossDomainPoll', { hdr: HDR, pad: U64 });

/** SEND and RECEIVE, 352 bytes, the data behind it. */
export const CrossDomainSendReceive = struct('CrossDomainSendReceive', {
  hdr: HDR,
  numIdentifiers: U32,
  opaqueDataSize: U32,
  identifiers: array(U32, CROSS_DOMAIN_MAX_IDENTIFIERS),
  identifierTypes: array(U32, CROSS_DOMAIN_MAX_IDENTIFIERS),
  identifierSizes: array(U32, CROSS_DOMAIN_MAX_IDENTIFIERS),
});

/** SEND and RECEIVE of programs before 2023, 64 bytes. */
export const CrossDomainSendReceiveOld = struct('CrossDomainSendReceiveOld', {
  hdr: HDR,
  numIdentifiers: U32,
  opaqueDataSize: U32,
  identifiers: array(U32, CROSS_DOMAIN_OLD_MAX_IDENTIFIERS),
  identifierTypes: array(U32, CROSS_DOMAIN_OLD_MAX_IDENTIFIERS),
  identifierSizes: array(U32, CROSS_DOMAIN_OLD_MAX_IDENTIFIERS),
});

/** One of the two forms. */
export type SendReceiveLayout = typeof CrossDomainSendReceive | typeof CrossDomainSendReceiveOld;

/** READ and WRITE, 24 bytes, the data behind it. */
export const CrossDomainReadWrite = struct('CrossDomainReadWrite', {
  hdr: HDR,
  identifier: U32,
  hangUp: U32,
  opaqueDataSize: U32,
  pad: U32,
});

/** CREATE_SENTINEL (FUTEX_NEW) and IMPORT_VIRTIOFS_HANDLE, 32 bytes. */
export const CrossDomainHandle = struct('CrossDomainHandle', {
  hdr: HDR,
  fsId: U64,
  handle: U64,
  id: U32,
  pad: U32,
});

/** SIGNAL, DESTROY, READ_EVENTFD_NEW, READ_EVENTFD_DESTROY, 16 bytes. */
export const CrossDomainId = struct('CrossDomainId', { hdr: HDR, id: U32, pad: U32 });

export const CrossDomainAssignSocketUuid = struct('CrossDomainAssignSocketUuid', {
  hdr: HDR,
  uuid: bytes(16),
  id: U32,
  pad: pad(4),
});
