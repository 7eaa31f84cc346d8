/**
 * The virtio-pmem device: a host file as persistent memory of the guest, through a shared memory region.
 * @packageDocumentation
 */
export { PmemDevice, type PmemDeviceOptions } from './device.ts';
export { PmemError, type PmemErrorCode } from './errors.ts';
export { PMEM_ALIGN, PmemImage } from './image.ts';
export * from './layout.ts';
