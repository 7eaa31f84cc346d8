/** virtio-gpu (VIRTIO 1.3, 5.7). */
import { put64 } from '../payloads.ts';
import { BUFFERS_GPA } from '../ring.ts';
import { type DeviceLie, type KnownDevice, viewOf } from './device.ts';
import {
  DISPLAY_INFO_BYTES,
  VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
  VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
  VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
  VIRTIO_GPU_CMD_RESOURCE_UNREF,
  VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
  VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
  VirtioGpuCtrlHdr,
  VirtioGpuMemEntry,
  VirtioGpuResourceAttachBacking,
  VirtioGpuResourceCreate2d,
} from './layout.ts';

const SOURCE = 'VIRTIO 1.3, 5.7.6';
const HEADER = VirtioGpuCtrlHdr.byteLength;
const B8G8R8A8 = 1;

function command(type: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(HEADER + body.length);
  VirtioGpuCtrlHdr.type.set(viewOf(bytes), 0, type);
  bytes.set(body, HEADER);
  return bytes;
}

function create(resourceId: number, width: number, height: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(VirtioGpuResourceCreate2d.byteLength));
  VirtioGpuResourceCreate2d.resourceId.set(view, 0, resourceId);
  VirtioGpuResourceCreate2d.format.set(view, 0, B8G8R8A8);
  VirtioGpuResourceCreate2d.width.set(view, 0, width);
  VirtioGpuResourceCreate2d.height.set(view, 0, height);
  return command(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, new Uint8Array(view.buffer));
}

/** @param count - what the message says; one entry follows */
function attach(resourceId: number, count: number, addr: number | bigint = BUFFERS_GPA, length = 4096): Uint8Array {
  const head = VirtioGpuResourceAttachBacking.byteLength;
  const view = new DataView(new ArrayBuffer(head + VirtioGpuMemEntry.byteLength));
  VirtioGpuResourceAttachBacking.resourceId.set(view, 0, resourceId);
  VirtioGpuResourceAttachBacking.nrEntries.set(view, 0, count);
  put64(VirtioGpuMemEntry.addr, view, head, addr);
  VirtioGpuMemEntry.length.set(view, head, length);
  return command(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, new Uint8Array(view.buffer));
}

function lie(
  id: string,
  what: string,
  readable: Uint8Array,
  writable: readonly number[] = [HEADER],
  source = SOURCE,
): DeviceLie {
  return { id, source, what, readable: [readable], writable };
}

const typeOf = (bytes: Uint8Array): number => VirtioGpuCtrlHdr.type.get(viewOf(bytes), 0);

/** The device as the suite knows it. */
export const gpu: KnownDevice = {
  name: 'gpu',
  queue: 0,
  honest: { readable: [command(VIRTIO_GPU_CMD_GET_DISPLAY_INFO)], writable: [DISPLAY_INFO_BYTES] },
  check({ bytes, len }) {
    if (len !== DISPLAY_INFO_BYTES) return `a display info of ${len} bytes`;
    return typeOf(bytes) === VIRTIO_GPU_RESP_OK_DISPLAY_INFO ? null : `response 0x${typeOf(bytes).toString(16)}`;
  },
  refusal({ bytes, len }) {
    if (len < HEADER) return 'returned the chain without a response';
    return typeOf(bytes) > VIRTIO_GPU_RESP_OK_NODATA + 0xff ? `response 0x${typeOf(bytes).toString(16)}` : null;
  },
  lies: [
    lie(
      'entries-beyond',
      'RESOURCE_ATTACH_BACKING of 1000 entries with one behind it',
      attach(1, 1000),
      [HEADER],
      'CVE-2021-3544',
    ),
    lie(
      'entries-max',
      'RESOURCE_ATTACH_BACKING of 2^32 - 1 entries',
      attach(1, 0xffff_ffff),
      [HEADER],
      'CVE-2021-3545',
    ),
    lie('entry-outside', 'RESOURCE_ATTACH_BACKING of memory that there is not', attach(1, 1, 1n << 60n)),
    lie(
      'resource-unknown',
      'RESOURCE_UNREF of a resource that there is not',
      command(VIRTIO_GPU_CMD_RESOURCE_UNREF, new Uint8Array(8).fill(0x77)),
    ),
    lie('resource-zero', 'RESOURCE_CREATE_2D with id 0', create(0, 16, 16)),
    lie('resource-huge', 'RESOURCE_CREATE_2D of 2^32 - 1 by 2^32 - 1', create(1, 0xffff_ffff, 0xffff_ffff)),
    lie('resource-wraps', 'RESOURCE_CREATE_2D whose bytes wrap to a few', create(1, 0x4000_0001, 4)),
    lie(
      'transfer-outside',
      'TRANSFER_TO_HOST_2D of a rectangle outside',
      command(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, new Uint8Array(32).fill(0xff)),
    ),
    lie('type-unknown', 'a command that there is not', command(0x7777)),
    lie('header-cut', 'a header that is cut', command(VIRTIO_GPU_CMD_GET_DISPLAY_INFO).subarray(0, 10)),
    lie('body-cut', 'RESOURCE_CREATE_2D without its body', command(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D)),
    lie('no-response-room', 'no room for the response', command(VIRTIO_GPU_CMD_GET_DISPLAY_INFO), []),
    lie(
      'response-room-cut',
      'room for half a response',
      command(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
      [12],
      'CVE-2021-3546',
    ),
  ],
};
