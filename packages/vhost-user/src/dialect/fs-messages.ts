/** Messages of the back channel in the virtio-fs dialect. Their numbers mean SHARED_OBJECT_* and SHMEM_MAP elsewhere. */
import { VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD } from '../features.ts';
import type { FdRule, MessageSpec } from '../protocol/messages.ts';
import { exactly } from '../protocol/payload.ts';
import type { FsForm } from './fs-encode.ts';
import { VhostUserFSSlaveMsg, VhostUserFSSlaveMsgEntry, VhostUserFSSlaveMsgHeader } from './layout.ts';

/** The requests of one form; form 2 dropped FS_SYNC and moved FS_IO into its place. */
export interface FsMessages {
  readonly map: MessageSpec;
  readonly unmap: MessageSpec;
  /** null: there is none. */
  readonly sync: MessageSpec | null;
  readonly io: MessageSpec;
}

const NO_FD: FdRule = { min: 0, max: 0 };
const ONE_FD: FdRule = { min: 1, max: 1 };
const COLUMNS = exactly('fs ranges', VhostUserFSSlaveMsg.byteLength);
const ROW = exactly('fs range', VhostUserFSSlaveMsgHeader.byteLength + VhostUserFSSlaveMsgEntry.byteLength);

function message(id: number, name: string, payload: typeof ROW, fds: FdRule): MessageSpec {
  return { id, name, payload, fds, reply: 'ack', gate: { protocol: VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD } };
}

/** The messages by form. */
export const FS_MESSAGES: Readonly<Record<FsForm, FsMessages>> = {
  1: {
    map: message(6, 'FS_MAP', COLUMNS, ONE_FD),
    unmap: message(7, 'FS_UNMAP', COLUMNS, NO_FD),
    sync: message(8, 'FS_SYNC', COLUMNS, NO_FD),
    io: message(9, 'FS_IO', COLUMNS, ONE_FD),
  },
  2: {
    map: message(6, 'MAP', ROW, ONE_FD),
    unmap: message(7, 'UNMAP', ROW, NO_FD),
    sync: null,
    io: message(8, 'IO', ROW, ONE_FD),
  },
};
