/** SEND: bytes for the host socket, and what goes with them. */
import {
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import { Fd } from '@oriel/sys';
import type { Connection } from '../channel/connection.ts';
import { layoutOf } from '../channel/receive-message.ts';
import { EventItem } from '../items/event-item.ts';
import { HeldFd } from '../items/held-fd.ts';
import type { Item } from '../items/item.ts';
import { ReadPipe } from '../items/read-pipe.ts';
import { SentinelItem } from '../items/sentinel-item.ts';
import type { Program } from '../program.ts';
import { CrossDomainSendReceive, type SendReceiveLayout } from '../protocol/layout.ts';
import {
  CROSS_DOMAIN_ID_TYPE_EVENT,
  CROSS_DOMAIN_ID_TYPE_READ_PIPE,
  CROSS_DOMAIN_ID_TYPE_SOCKET,
  CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB,
  CROSS_DOMAIN_ID_TYPE_VIRTIO_FS_BLOB,
} from '../protocol/values.ts';
import type { CommandBytes, Handler } from './command.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;

/** What a SEND made, to be undone where it fails. */
interface Made {
  /** Ends of pipes that the host program shall write to. */
  readonly ends: Fd[];
  readonly pipeIds: number[];
}

/** A SEND of no data carries nothing: a stream socket takes descriptors with bytes alone. */
export const send: Handler = (program, command) => {
  const { view, base, size } = command;
  const { connection } = program;
  const dataSize = CrossDomainSendReceive.opaqueDataSize.get(view, base);
  const count = CrossDomainSendReceive.numIdentifiers.get(view, base);
  const layout = layoutOf(size - dataSize);
  const isWrong = layout === null || count > layout.identifiers.count || (count > 0 && dataSize === 0);
  if (isWrong || connection === null) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  connection.layout = layout;
  if (dataSize === 0) return OK;
  const made: Made = { ends: [], pipeIds: [] };
  const status = gather(program, command, layout, count, made);
  if (status === OK) post(program, connection, command, layout.byteLength, count);
  else for (const id of made.pipeIds) program.items.remove(id);
  for (const end of made.ends) end.close();
  return status;
};

function post(program: Program, connection: Connection, command: CommandBytes, head: number, count: number): void {
  const { bytes, base, size } = command;
  connection.send(bytes.subarray(base + head, base + size), program.shared.fds, count);
  if (connection.outbox.isCrowded) program.crowded = connection.outbox;
}

/** Finds the descriptors of all identifiers. */
function gather(
  program: Program,
  { view, base }: CommandBytes,
  layout: SendReceiveLayout,
  count: number,
  made: Made,
): GpuStatus {
  for (let index = 0; index < count; index++) {
    const id = layout.identifiers.get(view, base, index);
    const type = layout.identifierTypes.get(view, base, index);
    const found = find(program, type, id, made);
    if (typeof found === 'object') return found.status;
    program.shared.fds[index] = found;
  }
  return OK;
}

/** Lends a descriptor, or says why there is none. */
function find(program: Program, type: number, id: number, made: Made): number | { readonly status: GpuStatus } {
  if (type === CROSS_DOMAIN_ID_TYPE_READ_PIPE) return makePipe(program, id, made);
  if (type === CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB) {
    const resource = program.host.resource(id);
    // A file of which the blob is but a part is nothing that a host program would understand.
    const fd = resource === null || resource.fdOffset !== 0 ? -1 : resource.fd;
    return fd < 0 ? { status: VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID } : fd;
  }
  const item = program.items.get(id);
  const fd = item !== undefined && isNamed(program, type, item) ? item.fd : -1;
  if (fd >= 0) return fd;
  program.around.say(`identifier ${id} of type ${type} cannot be sent`);
  return { status: VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER };
}

/** Whether a type of the program's dialect is the name of such an item. */
function isNamed({ channel }: Program, type: number, item: Item): boolean {
  if (channel?.dialect === 'libkrun') {
    if (type === CROSS_DOMAIN_ID_TYPE_EVENT) return item instanceof SentinelItem;
    return type === CROSS_DOMAIN_ID_TYPE_VIRTIO_FS_BLOB && item instanceof EventItem;
  }
  if (type === CROSS_DOMAIN_ID_TYPE_EVENT) return item instanceof EventItem;
  if (!(item instanceof HeldFd)) return false;
  if (type === CROSS_DOMAIN_ID_TYPE_SOCKET) return item.kind === 'socket';
  return type === CROSS_DOMAIN_ID_TYPE_VIRTIO_FS_BLOB && item.kind === 'handle';
}

/** A pipe into which the host program writes. The guest chose its number. */
function makePipe(program: Program, id: number, made: Made): number | { readonly status: GpuStatus } {
  const { host, around, items, templates } = program;
  if (items.has(id) || templates.sizeOf(id) !== undefined) return { status: VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER };
  if (!around.quotas.fds.take(1)) return { status: VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY };
  const ends = new Int32Array(2);
  if (host.sys.fd.pipe(ends) < 0) {
    around.quotas.fds.give(1);
    return { status: VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY };
  }
  const reader = new Fd(host.sys.fd, ends[0]!);
  const writer = new Fd(host.sys.fd, ends[1]!);
  made.ends.push(writer);
  made.pipeIds.push(id);
  host.sys.fd.setNonBlocking(reader.fd, true);
  items.add(id, new ReadPipe(id, reader, around, () => items.remove(id)));
  return writer.fd;
}
