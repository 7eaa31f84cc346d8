/**
 * The vhost-user protocol: message table, both channels, back-end server, front-end client, front-end profiles.
 * @packageDocumentation
 */
export { BackendConnection } from './backend/connection.ts';
export type { FrozenConnection } from './backend/frozen.ts';
export type { BackendHandler, NotifierPage, RingSetup } from './backend/handler.ts';
export type { BackendOptions } from './backend/options.ts';
export type { BackendSharedObjects } from './backend/shared-objects.ts';
export { checkShmRegions, type ShmRegionSize } from './backend/shm-config.ts';
export { type VhostUserEvent, vhostUserChannel } from './diagnostics.ts';
export type { FsAccess, FsRange } from './dialect/fs-encode.ts';
export type { FsRequests } from './dialect/fs-requests.ts';
export {
  type VhostUserBlame,
  VhostUserError,
  type VhostUserErrorCode,
  type VhostUserErrorPlace,
} from './errors.ts';
export * from './features.ts';
export type { Reply } from './frontend/check-reply.ts';
export { FrontendConnection } from './frontend/connection.ts';
export type { CryptoMessages } from './frontend/crypto.ts';
export { DirtyBitmap } from './frontend/dirty-bitmap.ts';
export type {
  FrontendHandlers,
  FrontendOptions,
  HostNotifier,
  ShmemRequest,
  WindowPlacement,
} from './frontend/handlers.ts';
export type { InflightArea } from './frontend/inflight-area.ts';
export type { IotlbEntry, IotlbMessages } from './frontend/iotlb.ts';
export type { NegotiationNeeds, NegotiationWish, ShmRegion } from './frontend/negotiate.ts';
export type { NetMessages } from './frontend/net.ts';
export type { PostcopyMessages } from './frontend/postcopy.ts';
export { ReconnectingFrontend } from './frontend/reconnecting.ts';
export type { ReconnectingOptions, ReconnectingRing } from './frontend/reconnecting-options.ts';
export type { Answer } from './frontend/request-port.ts';
export type { ReplyHandler } from './frontend/requester.ts';
export type { RingStart } from './frontend/ring-steps.ts';
export { type ObjectExporter, SharedObjects, type SharedObjectsOptions } from './frontend/shared-objects.ts';
export type { RegionName, SharedRegion } from './frontend/shared-region.ts';
export * from './layout.ts';
export { type FrontendProfile, profileFor, profiles, withoutMemorySlots } from './profiles.ts';
export type { IotlbMessage } from './protocol/encode.ts';
export {
  BACKEND_MESSAGES,
  type BackendMessageName,
  type FdRule,
  FRONTEND_MESSAGES,
  type FrontendMessageName,
  type Gate,
  type MessageSpec,
  type Refusal,
  type ReplyRule,
} from './protocol/messages.ts';
export type { PayloadRule } from './protocol/payload.ts';
