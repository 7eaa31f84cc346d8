/** The workloads of virtio-gpu, as one table. */
import type { GpuSession } from './driver/session.ts';
import type { GpuWork } from './driver/work.ts';
import type { FloorKind } from './floor/floor.ts';
import { BlobWork } from './works/blob.ts';
import { FlushWork, PICTURE_BYTES } from './works/flush.ts';

/** One row. */
export interface GpuWorkload {
  /** What one operation is. */
  readonly operation: string;
  /** Operations at the same time. */
  readonly depths: readonly number[];
  /** What it is held against, and with how many bytes. */
  readonly floors: readonly FloorKind[];
  readonly bytes: number;
  readonly make: (session: GpuSession) => GpuWork;
}

const PAGE = 4096;
const HUGE_PAGE = 2 << 20;

const blob = (of: 'map' | 'life', bytes: number, depths: readonly number[]): GpuWorkload => ({
  operation: of === 'map' ? 'MAP_BLOB, UNMAP_BLOB' : 'CREATE_BLOB, MAP_BLOB, UNMAP_BLOB, UNREF',
  depths,
  floors: ['exchange', of === 'map' ? 'wire' : 'wire-life'],
  bytes,
  make: (session) => new BlobWork(session, { size: bytes, of }),
});

/** Workloads by name, in the order of the report. */
export const GPU_WORKLOADS: Readonly<Record<string, GpuWorkload>> = {
  'map-4k': blob('map', PAGE, [1, 8]),
  'map-2m': blob('map', HUGE_PAGE, [1]),
  'life-4k': blob('life', PAGE, [1, 8]),
  'life-2m': blob('life', HUGE_PAGE, [1]),
  'flush-1080p': {
    operation: 'TRANSFER_TO_HOST_2D, RESOURCE_FLUSH of 1920 x 1080 to the display channel',
    depths: [1],
    floors: ['memcpy', 'socket', 'frame'],
    bytes: PICTURE_BYTES,
    make: (session) => new FlushWork(session, 'channel'),
  },
  'headless-1080p': {
    operation: 'the same to the headless sink',
    depths: [1],
    floors: ['memcpy'],
    bytes: PICTURE_BYTES,
    make: (session) => new FlushWork(session, 'headless'),
  },
};
