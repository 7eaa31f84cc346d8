/**
 * What a virtio device author sees: the contract of a device, and `serve`, which puts one on a vhost-user socket.
 * @packageDocumentation
 */
export type { DeviceHost, RegionDeclaration, VirtioDevice } from './device.ts';
export type { DeviceServer, ServeEvent } from './device-server.ts';
export { type VirtioEvent, virtioChannel } from './diagnostics.ts';
export { DeviceError, type DeviceErrorCode } from './errors.ts';
export { isDeviceFeature, VIRTIO_F_VERSION_1 } from './features.ts';
export { RateLimit } from './rate-limit.ts';
export { type ServeOptions, serve } from './serve.ts';
