/**
 * A virtual machine without a machine: guest memory, a driver and a front-end in one process, joined to a back-end by the
 * vhost-user socket only.
 * @packageDocumentation
 */
export { DAX_RANGE, DaxMapper } from './dax-mapper.ts';
export { LoopbackError, type LoopbackErrorCode } from './errors.ts';
export { type FileInfo, FuseClient, type MountMode, type OpenFile, type PendingRequest } from './fuse-client.ts';
export { GuestQueue, type GuestQueueOptions, PendingChain, type RingPlace } from './guest-queue.ts';
export { GuestRam, type GuestRamOptions, RAM_GPA } from './guest-ram.ts';
export { GuestWindow, WINDOW_GPA, type WindowBehaviour, type WindowStats } from './guest-window.ts';
export { type LoopbackState, LoopbackVm } from './loopback-vm.ts';
export type { LoopbackOptions } from './options.ts';
