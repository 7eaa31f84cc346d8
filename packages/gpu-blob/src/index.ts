/**
 * The virtio-gpu device: 2D, cursor, EDID, contexts, fences, and blobs mapped into the host-visible region.
 * @packageDocumentation
 */
export type {
  BlobRequest,
  Context,
  ContextHost,
  ContextResource,
  ContextType,
  HostBlob,
} from './contexts/context-type.ts';
export {
  MEMORY_CAPSET_ID,
  MemoryCapset,
  type MemoryContextOptions,
  MemoryContextType,
  type MemoryObject,
} from './contexts/memory-type.ts';
export { GpuDevice } from './device.ts';
export type { GpuEvent } from './diagnostics.ts';
export { DisplayChannel, type DisplayChannelOptions } from './display/channel.ts';
export { makeEdid } from './display/edid.ts';
export {
  type CursorState,
  type Frame,
  HeadlessSink,
  type HeadlessSinkOptions,
  type SnapshotOptions,
} from './display/framebuffers.ts';
export type { Box, DisplaySink, DmaBufFrame, Output, PixelSource } from './display/sink.ts';
export { GpuError, type GpuErrorCode } from './errors.ts';
export type { GpuDeviceOptions, OutputSize } from './options.ts';
export * from './protocol/layout.ts';
export * from './protocol/values.ts';
export type {
  GuestPages,
  Renderer,
  RendererResource,
  Resource3dRequest,
  Transfer3dRequest,
} from './render/renderer.ts';
export type { GpuStats } from './stats.ts';
