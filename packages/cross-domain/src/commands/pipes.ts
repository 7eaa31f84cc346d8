/** WRITE: into a pipe or an eventfd of the host; and listening to eventfds. */
import {
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import { EVENT_SIZE, EventItem } from '../items/event-item.ts';
import { WritePipe } from '../items/write-pipe.ts';
import { CrossDomainId, CrossDomainReadWrite } from '../protocol/layout.ts';
import type { Handler } from './command.ts';

export const write: Handler = (program, { bytes, view, base, size }) => {
  const { items } = program;
  const dataSize = CrossDomainReadWrite.opaqueDataSize.get(view, base);
  if (dataSize !== size - CrossDomainReadWrite.byteLength) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const id = CrossDomainReadWrite.identifier.get(view, base);
  const item = items.get(id);
  const data = bytes.subarray(base + CrossDomainReadWrite.byteLength, base + size);
  if (item instanceof EventItem && dataSize === EVENT_SIZE) {
    item.write(data);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }
  if (!(item instanceof WritePipe)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  if (dataSize > 0) item.write(data);
  if (item.outbox.isCrowded) program.crowded = item.outbox;
  if (CrossDomainReadWrite.hangUp.get(view, base) === 0) return VIRTIO_GPU_RESP_OK_NODATA;
  item.hangUp();
  items.remove(id);
  return VIRTIO_GPU_RESP_OK_NODATA;
};

export const readEventfdNew: Handler = ({ items }, { view, base }) => {
  const item = items.get(CrossDomainId.id.get(view, base));
  if (!(item instanceof EventItem)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  return item.listen() ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
};

export const readEventfdDestroy: Handler = ({ items }, { view, base }) => {
  const item = items.get(CrossDomainId.id.get(view, base));
  if (!(item instanceof EventItem)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  item.mute();
  return VIRTIO_GPU_RESP_OK_NODATA;
};
