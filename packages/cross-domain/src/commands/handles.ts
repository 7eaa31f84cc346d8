/** What needs other devices: sentinels (libkrun: futexes), handles of a virtio-fs device; and sockets passed between programs. */
import {
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import { errnoName } from '@oriel/sys';
import { hexOf } from '../channel/channel.ts';
import type { ExportedHandle, HandleExporter } from '../handle-exporter.ts';
import { HeldFd } from '../items/held-fd.ts';
import { SentinelItem } from '../items/sentinel-item.ts';
import type { Program } from '../program.ts';
import { CrossDomainAssignSocketUuid, CrossDomainHandle, CrossDomainId } from '../protocol/layout.ts';
import type { CommandBytes, Handler } from './command.ts';
import { readEventfdDestroy } from './pipes.ts';

function handleOf({ view, base }: CommandBytes): ExportedHandle {
  return {
    fsIdLo: CrossDomainHandle.fsId.lo(view, base),
    fsIdHi: CrossDomainHandle.fsId.hi(view, base),
    handleLo: CrossDomainHandle.handle.lo(view, base),
    handleHi: CrossDomainHandle.handle.hi(view, base),
  };
}

/**
 * Makes something under the number that a command gives.
 * @param make - one descriptor is taken for it @returns 0, or a negative errno with nothing made
 */
function addUnder(
  program: Program,
  { view, base }: CommandBytes,
  make: (id: number, exporter: HandleExporter) => number,
): GpuStatus {
  const { items, templates, shared, around } = program;
  const id = CrossDomainHandle.id.get(view, base);
  if (shared.exporter === null) {
    around.say('a file of another device was asked for, and there is none that lends files');
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  if (items.has(id) || templates.sizeOf(id) !== undefined) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  if (!around.quotas.fds.take(1)) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
  const error = make(id, shared.exporter);
  if (error === 0) return VIRTIO_GPU_RESP_OK_NODATA;
  around.quotas.fds.give(1);
  around.say(`a file of another device is not lent (${errnoName(-error)})`);
  return VIRTIO_GPU_RESP_ERR_UNSPEC;
}

export const createSentinel: Handler = (program, command) =>
  addUnder(program, command, (id, exporter) => {
    const { around, host, items } = program;
    const item = new SentinelItem(id, around);
    const sentinel = exporter.watch(handleOf(command), host.loop, () => item.changed());
    if (typeof sentinel === 'number') return sentinel;
    item.open(sentinel);
    items.add(id, item);
    return 0;
  });

export const signalSentinel: Handler = ({ items }, { view, base }) => {
  const item = items.get(CrossDomainId.id.get(view, base));
  if (!(item instanceof SentinelItem)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  item.signal();
  return VIRTIO_GPU_RESP_OK_NODATA;
};

export const destroySentinel: Handler = ({ items }, { view, base }) => {
  const id = CrossDomainId.id.get(view, base);
  if (!(items.get(id) instanceof SentinelItem)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  items.remove(id);
  return VIRTIO_GPU_RESP_OK_NODATA;
};

/** Number 12: READ_EVENTFD_DESTROY of libkrun has 16 bytes, IMPORT_VIRTIOFS_HANDLE of rutabaga 32. */
export const importHandleOrDestroyEvent: Handler = (program, command) => {
  const dialect = program.channel?.dialect ?? 'plain';
  const isShort = command.size < CrossDomainHandle.byteLength;
  if (dialect === 'libkrun' || (dialect === 'plain' && isShort)) return readEventfdDestroy(program, command);
  return isShort ? VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER : importHandle(program, command);
};

const importHandle: Handler = (program, command) =>
  addUnder(program, command, (id, exporter) => {
    const file = exporter.open(handleOf(command));
    if (typeof file === 'number') return file;
    program.items.add(id, new HeldFd('handle', file, program.around.quotas.fds));
    return 0;
  });

/** Gives a socket that came to whoever says the uuid in INIT. */
export const assignSocketUuid: Handler = ({ items, shared, around }, { view, base }) => {
  const id = CrossDomainAssignSocketUuid.id.get(view, base);
  const item = items.get(id);
  if (!(item instanceof HeldFd) || item.kind !== 'socket') return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const { offset, size } = CrossDomainAssignSocketUuid.uuid;
  const taken = shared.sockets.offer(hexOf(view, base + offset, size), item, around);
  if (!taken) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  items.take(id);
  return VIRTIO_GPU_RESP_OK_NODATA;
};
