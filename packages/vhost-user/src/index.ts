/**
 * The vhost-user protocol: message table, both channels, back-end server, front-end client, front-end profiles.
 * @packageDocumentation
 */
export { BackendConnection, type BackendOptions } from './backend/connection.ts';
export type { BackendHandler, RingSetup } from './backend/handler.ts';
export { checkShmRegions, type ShmRegionSize } from './backend/shm-config.ts';
export { type VhostUserEvent, vhostUserChannel } from './diagnostics.ts';
export {
  type VhostUserBlame,
  VhostUserError,
  type VhostUserErrorCode,
  type VhostUserErrorPlace,
} from './errors.ts';
export * from './features.ts';
export { FrontendConnection } from './frontend/connection.ts';
export type { FrontendHandlers, FrontendOptions, ShmemRequest, WindowPlacement } from './frontend/handlers.ts';
export type { NegotiationWish } from './frontend/negotiate.ts';
export type { Reply, ReplyHandler } from './frontend/requester.ts';
export type { RingStart } from './frontend/ring-steps.ts';
export type { RegionName, SharedRegion } from './frontend/shared-region.ts';
export { type FrontendProfile, profileFor, profiles, withoutMemorySlots } from './profiles.ts';
export {
  BACKEND_MESSAGES,
  type BackendMessageName,
  type FdRule,
  FRONTEND_MESSAGES,
  type FrontendMessageName,
  type Gate,
  type MessageSpec,
  type ReplyRule,
} from './protocol/messages.ts';
export type { PayloadRule } from './protocol/payload.ts';
