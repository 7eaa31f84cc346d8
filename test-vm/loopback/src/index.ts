/**
 * A virtual machine without a machine: guest memory, a driver and a front-end in one process, joined to a back-end by the
 * vhost-user socket only.
 * @packageDocumentation
 */
export { DAX_RANGE, DaxMapper } from './dax-mapper.ts';
export { LoopbackError, type LoopbackErrorCode } from './errors.ts';
export { type FileInfo, FuseClient, type MountMode, type OpenFile, type PendingRequest } from './fuse-client.ts';
export { GpuBlob } from './gpu/blob.ts';
export { GpuChannel, type PendingCommand } from './gpu/channel.ts';
export { GpuContext } from './gpu/context.ts';
export { Fences } from './gpu/fences.ts';
export { GuestPages } from './gpu/guest-pages.ts';
export { GpuSurface, type SurfaceOptions } from './gpu/surface.ts';
export { type Capset, GPU_FEATURES, type GpuConfig, GpuGuest, type HostBlobOptions } from './gpu-guest.ts';
export { GuestQueue, type GuestQueueOptions, PendingChain, type RingPlace } from './guest-queue.ts';
export { GuestRam, type GuestRamOptions, RAM_GPA } from './guest-ram.ts';
export { GuestWindow, WINDOW_GPA, type WindowBehaviour, type WindowStats } from './guest-window.ts';
export { type LoopbackState, LoopbackVm } from './loopback-vm.ts';
export type { LoopbackOptions } from './options.ts';
