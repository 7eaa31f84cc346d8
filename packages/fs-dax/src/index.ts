/**
 * The virtio-fs device and its DAX window.
 * @packageDocumentation
 */
export { encodeConfig } from './config.ts';
export type { GrowthStep } from './dax/growth.ts';
export type { GuardStats } from './dax/guard.ts';
export type { GuardHost } from './dax/guard-host.ts';
export type { DaxGuard, DaxOptions, DaxTail } from './dax/options.ts';
export { DEFAULT_DAX_MIN_SIZE, mappingsPerRange } from './dax/options.ts';
export { FsDevice, type FsStats } from './device.ts';
export type { FsDaxErrorCode } from './errors.ts';
export { FsDaxError } from './errors.ts';
export { DAX_RANGE, VIRTIO_FS_SHMCAP_ID_CACHE, VIRTIO_ID_FS, VirtioFsConfig } from './layout.ts';
export type { FsDeviceOptions } from './options.ts';
