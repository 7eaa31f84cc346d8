/** Which command is which, and the loop over those of a submit. */
import {
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import type { Program } from '../program.ts';
import * as L from '../protocol/layout.ts';
import * as V from '../protocol/values.ts';
import type { CommandBytes, Handler } from './command.ts';
import {
  assignSocketUuid,
  createSentinel,
  destroySentinel,
  importHandleOrDestroyEvent,
  signalSentinel,
} from './handles.ts';
import { getImageRequirements } from './images.ts';
import { init } from './init.ts';
import { readEventfdNew, write } from './pipes.ts';
import { send } from './send.ts';

interface Entry {
  /** Bytes, the header included. */
  readonly least: number;
  readonly run: Handler;
}

/** POLL does nothing by itself: the fence that comes with it waits. */
const poll: Handler = () => VIRTIO_GPU_RESP_OK_NODATA;

const COMMANDS = new Map<number, Entry>([
  [V.CROSS_DOMAIN_CMD_INIT, { least: L.CrossDomainInitLegacy.byteLength, run: init }],
  [
    V.CROSS_DOMAIN_CMD_GET_IMAGE_REQUIREMENTS,
    { least: L.CrossDomainGetImageRequirements.byteLength, run: getImageRequirements },
  ],
  [V.CROSS_DOMAIN_CMD_POLL, { least: L.CrossDomainHeader.byteLength, run: poll }],
  [V.CROSS_DOMAIN_CMD_SEND, { least: L.CrossDomainSendReceiveOld.byteLength, run: send }],
  [V.CROSS_DOMAIN_CMD_WRITE, { least: L.CrossDomainReadWrite.byteLength, run: write }],
  [V.CROSS_DOMAIN_CMD_CREATE_SENTINEL, { least: L.CrossDomainHandle.byteLength, run: createSentinel }],
  [V.CROSS_DOMAIN_CMD_SIGNAL_SENTINEL, { least: L.CrossDomainId.byteLength, run: signalSentinel }],
  [V.CROSS_DOMAIN_CMD_DESTROY_SENTINEL, { least: L.CrossDomainId.byteLength, run: destroySentinel }],
  [V.CROSS_DOMAIN_CMD_READ_EVENTFD_NEW, { least: L.CrossDomainId.byteLength, run: readEventfdNew }],
  [V.CROSS_DOMAIN_CMD_IMPORT_VIRTIOFS_HANDLE, { least: L.CrossDomainId.byteLength, run: importHandleOrDestroyEvent }],
  [V.CROSS_DOMAIN_CMD_ASSIGN_SOCKET_UUID, { least: L.CrossDomainAssignSocketUuid.byteLength, run: assignSocketUuid }],
]);

/** Does the commands of a submit, which follow each other, up to the first that is wrong. */
export function runCommands(program: Program, bytes: Uint8Array): GpuStatus {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const command: CommandBytes = { bytes, view, base: 0, size: 0 };
  while (command.base < bytes.length) {
    const status = runNext(program, command, bytes.length - command.base);
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) return status;
    command.base += command.size;
  }
  return VIRTIO_GPU_RESP_OK_NODATA;
}

/** @param room - bytes from the command's start to the end of the submit */
function runNext(program: Program, command: CommandBytes, room: number): GpuStatus {
  const { byteLength } = L.CrossDomainHeader;
  if (room < byteLength) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  command.size = L.CrossDomainHeader.cmdSize.get(command.view, command.base);
  if (command.size < byteLength || command.size > room) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const entry = COMMANDS.get(L.CrossDomainHeader.cmd.get(command.view, command.base));
  if (entry === undefined) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  if (command.size < entry.least) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  return entry.run(program, command);
}
