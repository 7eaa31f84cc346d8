/**
 * What a virtio device author sees: the contract of a device, and `serve`, which puts one on a vhost-user socket.
 * @packageDocumentation
 */
export type { DeviceHost, FrontEnd, RegionDeclaration, StateMemory, VirtioDevice } from './device.ts';
export type { DeviceServer, ServeEvent } from './device-server.ts';
export { type VirtioEvent, virtioChannel } from './diagnostics.ts';
export { DeviceError, type DeviceErrorCode } from './errors.ts';
export { isDeviceFeature, VIRTIO_F_VERSION_1 } from './features.ts';
export { RateLimit } from './rate-limit.ts';
export { type ServeOptions, serve } from './serve.ts';
export type { FdStore } from './survival/fd-store.ts';
export { LocalStore } from './survival/local-store.ts';
export { NotifyStore, type NotifyStoreOptions, openNotifyStore } from './survival/notify-store.ts';
export { type LauncherTerms, launcherTerms, type ReceivedFd } from './survival/received-fds.ts';
export type { SurvivalOptions } from './survival/survival.ts';
export {
  receiveState,
  type StateSink,
  type StateSource,
  sendState,
  type TransferHost,
} from './transfer/state-transfer.ts';
