/**
 * Cross-domain contexts: guest programs reach Wayland and other sockets of the host.
 * @packageDocumentation
 */
export { connectTo, type Door, type DoorHost, PathDoor } from './channel/door.ts';
export { CrossDomainError, type CrossDomainErrorCode } from './errors.ts';
export type { ExportedHandle, HandleExporter, Sentinel } from './handle-exporter.ts';
export { type ImageLayout, imageLayout } from './images/formats.ts';
export type { CrossDomainLimits } from './limits.ts';
export * from './protocol/layout.ts';
export * from './protocol/values.ts';
export type { SecurityIdentity } from './security-context/attach.ts';
export { SecuredDoor, type SecuredDoorOptions, type SecurityMode } from './security-context/secured-door.ts';
export { CrossDomainContextType, type CrossDomainOptions, type HostChannel } from './type.ts';
