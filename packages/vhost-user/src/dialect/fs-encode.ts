/** Payloads of the virtio-fs dialect. Every request of ours names one range. */
import {
  VHOST_USER_FS_FLAG_MAP_R,
  VHOST_USER_FS_FLAG_MAP_W,
  VhostUserFSSlaveMsg,
  VhostUserFSSlaveMsgEntry,
  VhostUserFSSlaveMsgHeader,
} from './layout.ts';

/** One range: bytes of a file, and of the window (of guest memory for FS_IO). Safe integers, bytes. */
export interface FsRange {
  readonly fdOffset: number;
  /** Offset in the window; for FS_IO a GPA. */
  readonly cOffset: number;
  readonly len: number;
  readonly access: FsAccess;
}

/** What a range is for; 'none' where the message needs no right. */
export type FsAccess = 'none' | 'read' | 'write' | 'read-write';

/** How the payload is laid out: eight ranges in four columns (2018 to 2020), or a count and rows (2021). */
export type FsForm = 1 | 2;

const FLAGS: Readonly<Record<FsAccess, number>> = {
  none: 0,
  read: VHOST_USER_FS_FLAG_MAP_R,
  write: VHOST_USER_FS_FLAG_MAP_W,
  'read-write': VHOST_USER_FS_FLAG_MAP_R | VHOST_USER_FS_FLAG_MAP_W,
};

/** The payload of FS_MAP, FS_UNMAP, FS_SYNC or FS_IO over one range: 256 bytes in form 1, 40 in form 2. */
export function encodeFsRange(form: FsForm, range: FsRange): Uint8Array {
  return form === 1 ? columns(range) : row(range);
}

function columns(range: FsRange): Uint8Array {
  const bytes = new Uint8Array(VhostUserFSSlaveMsg.byteLength);
  const view = new DataView(bytes.buffer);
  VhostUserFSSlaveMsg.fdOffset.set(view, 0, 0, range.fdOffset);
  VhostUserFSSlaveMsg.cOffset.set(view, 0, 0, range.cOffset);
  VhostUserFSSlaveMsg.len.set(view, 0, 0, range.len);
  VhostUserFSSlaveMsg.flags.set(view, 0, 0, FLAGS[range.access]);
  return bytes;
}

function row(range: FsRange): Uint8Array {
  const head = VhostUserFSSlaveMsgHeader.byteLength;
  const bytes = new Uint8Array(head + VhostUserFSSlaveMsgEntry.byteLength);
  const view = new DataView(bytes.buffer);
  VhostUserFSSlaveMsgHeader.count.set(view, 0, 1);
  VhostUserFSSlaveMsgEntry.fdOffset.set(view, head, range.fdOffset);
  VhostUserFSSlaveMsgEntry.cOffset.set(view, head, range.cOffset);
  VhostUserFSSlaveMsgEntry.len.set(view, head, range.len);
  VhostUserFSSlaveMsgEntry.flags.set(view, head, FLAGS[range.access]);
  return bytes;
}
