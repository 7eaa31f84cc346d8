/** What a guest with a bit of everything asks for when the device is killed. */
import {
  CURSOR_QUEUE,
  MEMORY_CAPSET_ID,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
} from '../../src/index.ts';
import * as encode from '../../src/testing/index.ts';
import { PAGE } from '../device/rig.ts';
import type { Survivor } from './survivor.ts';

export const format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
export const BOX = { x: 0, y: 0, width: 64, height: 64 };
export const ctx = { ctxId: 1 };
export const PICTURE = { resourceId: 1, format, width: 64, height: 64 };
export const CURSOR = { scanoutId: 1, x: 3, y: 4, hotX: 1, hotY: 2 };
const UNKNOWN = 99;

export const hostBlob = (resourceId: number, size = PAGE, blobId = 0): Uint8Array =>
  encode.encodeResourceCreateBlob({ resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size, blobId }, ctx);
const fenced = (idLo: number) => ({ fence: { idLo } });

/** Guest pages that lie apart, from a page of the queue's memory that the driver does not use. */
export function pages(survivor: Survivor, first: number, count: number): encode.GuestPiece[] {
  const { ram } = survivor.host;
  const start = ram.gpa + ram.size / 2 + (ram.size >> 2);
  return Array.from({ length: count }, (_, index) => ({ addr: start + (first + 2 * index) * PAGE, length: PAGE }));
}

export interface Case {
  readonly name: string;
  readonly commands: (survivor: Survivor) => readonly Uint8Array[];
  readonly queue?: number;
  /** The first answer is about what the guest gave up already: any will do. */
  readonly firstIsMoot?: boolean;
}

export const CASES: readonly Case[] = [
  { name: 'GET_DISPLAY_INFO', commands: () => [encode.encodeGetDisplayInfo()] },
  { name: 'RESOURCE_CREATE_2D', commands: () => [encode.encodeResourceCreate2d({ ...PICTURE, resourceId: 10 })] },
  { name: 'RESOURCE_CREATE_2D of an id in use', commands: () => [encode.encodeResourceCreate2d(PICTURE)] },
  { name: 'RESOURCE_CREATE_BLOB', commands: () => [hostBlob(10, 3 * PAGE)] },
  { name: 'RESOURCE_CREATE_BLOB of a shared object', commands: () => [hostBlob(10, PAGE, 7)] },
  {
    name: 'RESOURCE_CREATE_BLOB in guest pages',
    commands: (survivor) => [
      encode.encodeResourceCreateBlob({
        resourceId: 10,
        blobMem: VIRTIO_GPU_BLOB_MEM_GUEST,
        size: 12 * PAGE,
        entries: pages(survivor, 8, 12),
      }),
    ],
  },
  { name: 'RESOURCE_UNREF', commands: () => [encode.encodeResourceUnref(3)] },
  { name: 'RESOURCE_UNREF of what is shown', commands: () => [encode.encodeResourceUnref(1)] },
  { name: 'RESOURCE_UNREF of what is mapped', commands: () => [encode.encodeResourceUnref(2)] },
  { name: 'RESOURCE_UNREF of what a map was refused of', commands: () => [encode.encodeResourceUnref(5)] },
  { name: 'RESOURCE_UNREF of nothing', commands: () => [encode.encodeResourceUnref(UNKNOWN)] },
  {
    name: 'RESOURCE_UNREF, and the same id again',
    commands: () => [encode.encodeResourceUnref(2), hostBlob(2, 2 * PAGE)],
  },
  {
    name: 'RESOURCE_UNREF twice, fenced',
    commands: () => [encode.encodeResourceUnref(2, fenced(1)), encode.encodeResourceUnref(2, fenced(2))],
  },
  {
    name: 'RESOURCE_ATTACH_BACKING',
    commands: (survivor) => [encode.encodeAttachBacking({ resourceId: 6, entries: pages(survivor, 20, 40) })],
  },
  { name: 'RESOURCE_DETACH_BACKING', commands: () => [encode.encodeDetachBacking(1)] },
  { name: 'RESOURCE_DETACH_BACKING of a blob', commands: () => [encode.encodeDetachBacking(4)] },
  {
    name: 'other pages for a blob',
    commands: (survivor) => [
      encode.encodeDetachBacking(4),
      encode.encodeAttachBacking({ resourceId: 4, entries: pages(survivor, 30, 6) }),
    ],
  },
  {
    name: 'SET_SCANOUT and RESOURCE_FLUSH',
    commands: () => [
      encode.encodeSetScanout({ ...BOX, scanoutId: 1, resourceId: 1 }),
      encode.encodeResourceFlush({ ...BOX, resourceId: 1 }),
    ],
  },
  {
    name: 'SET_SCANOUT to nothing',
    commands: () => [encode.encodeSetScanout({ ...BOX, scanoutId: 0, resourceId: 0 })],
  },
  {
    name: 'SET_SCANOUT_BLOB and RESOURCE_FLUSH',
    commands: () => [
      encode.encodeSetScanoutBlob({
        ...BOX,
        scanoutId: 1,
        resourceId: 4,
        fbWidth: 64,
        fbHeight: 64,
        format,
        strides: [256],
        offsets: [0],
      }),
      encode.encodeResourceFlush({ ...BOX, resourceId: 4 }),
    ],
  },
  {
    name: 'TRANSFER_TO_HOST_2D and RESOURCE_FLUSH',
    commands: (survivor) => {
      survivor.host.ram.u8.fill(0x5a, pages(survivor, 0, 1)[0]!.addr - survivor.host.ram.gpa);
      return [
        encode.encodeTransferToHost2d({ ...BOX, resourceId: 1, offset: 0 }, fenced(1)),
        encode.encodeResourceFlush({ ...BOX, resourceId: 1 }, fenced(2)),
      ];
    },
  },
  { name: 'RESOURCE_MAP_BLOB', commands: () => [encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE })] },
  {
    name: 'RESOURCE_MAP_BLOB where something is',
    commands: () => [encode.encodeResourceMapBlob({ resourceId: 3, offset: 0 })],
  },
  {
    name: 'RESOURCE_MAP_BLOB twice',
    commands: () => [encode.encodeResourceMapBlob({ resourceId: 2, offset: 8 * PAGE })],
  },
  { name: 'RESOURCE_UNMAP_BLOB', commands: () => [encode.encodeResourceUnmapBlob(2)] },
  { name: 'RESOURCE_UNMAP_BLOB behind a failed map', commands: () => [encode.encodeResourceUnmapBlob(5)] },
  {
    name: 'an unmap, and another blob in its place',
    commands: () => [
      encode.encodeResourceUnmapBlob(2, fenced(1)),
      encode.encodeResourceMapBlob({ resourceId: 3, offset: 0 }, fenced(2)),
    ],
  },
  {
    name: 'a map and an unmap at once',
    commands: () => [
      encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE }),
      encode.encodeResourceUnmapBlob(3),
    ],
  },
  {
    name: 'a map, and the end of its resource',
    firstIsMoot: true,
    commands: () => [encode.encodeResourceMapBlob({ resourceId: 3, offset: 4 * PAGE }), encode.encodeResourceUnref(3)],
  },
  { name: 'RESOURCE_ASSIGN_UUID', commands: () => [encode.encodeResourceAssignUuid(6)] },
  {
    name: 'CTX_CREATE',
    commands: () => [encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID, debugName: 'new' }, { ctxId: 9 })],
  },
  { name: 'CTX_DESTROY', commands: () => [encode.encodeCtxDestroy(ctx)] },
  { name: 'CTX_ATTACH_RESOURCE', commands: () => [encode.encodeCtxAttachResource(3, ctx)] },
  { name: 'CTX_DETACH_RESOURCE', commands: () => [encode.encodeCtxDetachResource(2, ctx)] },
  { name: 'SUBMIT_3D', commands: () => [encode.encodeSubmit3d(new Uint8Array(0), { ...ctx, ...fenced(5) })] },
  {
    name: 'UPDATE_CURSOR',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeUpdateCursor({ ...CURSOR, scanoutId: 0, resourceId: 1 })],
  },
  {
    name: 'UPDATE_CURSOR to another image',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeUpdateCursor({ ...CURSOR, x: 30, resourceId: 6 })],
  },
  {
    name: 'MOVE_CURSOR',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeMoveCursor({ ...CURSOR, x: 50, y: 60, resourceId: 1 })],
  },
  {
    name: 'UPDATE_CURSOR to none',
    queue: CURSOR_QUEUE,
    commands: () => [encode.encodeUpdateCursor({ ...CURSOR, resourceId: 0 })],
  },
];
