/** All that the commands of the control queue work on. */
import type { Logger } from '@oriel/sys';
import type { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost } from '@oriel/virtio-device';
import type { Complaints } from '../complaints.ts';
import type { Capsets } from '../contexts/capsets.ts';
import type { Contexts } from '../contexts/contexts.ts';
import type { BlobMappings } from '../mapping/blob-mappings.ts';
import type { GpuStatus } from '../protocol/values.ts';
import type { Renderer } from '../render/renderer.ts';
import type { ResourceTable } from '../resources/table.ts';
import type { Displays } from '../scanouts/displays.ts';
import type { Remaking } from '../survival/remaking.ts';
import type { Request } from './request.ts';
import type { RequestBuffer } from './request-buffer.ts';

/** What a handler returns when the answer comes later, by `finish`. */
export const PENDING = 0;

/** The state of a device that commands read and change. */
export interface Gpu {
  readonly log: Logger;
  readonly complaints: Complaints;
  /** Device features that the driver accepted. */
  readonly accepted: FeatureSet;
  readonly host: DeviceHost;
  readonly displays: Displays;
  readonly capsets: Capsets;
  readonly contexts: Contexts;
  readonly resources: ResourceTable;
  readonly mappings: BlobMappings;
  readonly renderer: Renderer | null;
  /** What is made was there in a process before: its memory is taken from there. Null: it is new. */
  readonly remaking: Remaking | null;
  /** The request that is handled. */
  readonly buffer: RequestBuffer;
  /**
   * The operation of a request that was PENDING is over. Ignored when the request is not there any more.
   * @param serial - of the request when it was handled
   */
  finish(request: Request, serial: number, status: number): void;
  /** No command of the control queue is taken until the returned function was called: pixels are lent to a display. */
  hold(): () => void;
  /** A context is gone: what it had is answered. */
  contextGone(ctxId: number): void;
}

/**
 * Handles a command whose fixed part is complete in `gpu.buffer`.
 * @returns the type of the reply (`request.reply` holds its body, if it has one), or PENDING
 */
export type Handler = (gpu: Gpu, request: Request, view: DataView) => GpuStatus | number;
