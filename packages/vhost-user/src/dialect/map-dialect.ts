/** How mapping requests look on the back channel: what the profile's dialect makes of them. */
import type { WireMapping } from '@oriel/shm-region';
import { VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD, VHOST_USER_PROTOCOL_F_SHMEM } from '../features.ts';
import type { FrontendProfile } from '../profiles.ts';
import { encodeMMap } from '../protocol/encode.ts';
import { backendMessageNamed, type MessageSpec } from '../protocol/messages.ts';
import { encodeFsRange, type FsForm } from './fs-encode.ts';
import { FS_MESSAGES } from './fs-messages.ts';

/** Mapping requests of one dialect. */
export interface MapDialect {
  /** Protocol feature without which nothing may be mapped, beside BACKEND_REQ and REPLY_ACK. */
  readonly needs: number;
  readonly map: MessageSpec;
  readonly unmap: MessageSpec;
  encodeMap(request: WireMapping): Uint8Array;
  encodeUnmap(request: WireMapping): Uint8Array;
}

/** SHMEM_MAP and SHMEM_UNMAP of the specification. */
const SHMEM: MapDialect = {
  needs: VHOST_USER_PROTOCOL_F_SHMEM,
  map: backendMessageNamed('SHMEM_MAP'),
  unmap: backendMessageNamed('SHMEM_UNMAP'),
  encodeMap: encodeMMap,
  encodeUnmap: encodeMMap,
};

/** FS_MAP and FS_UNMAP: the one window has no number. */
function fsMap(form: FsForm): MapDialect {
  const { map, unmap } = FS_MESSAGES[form];
  return {
    needs: VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
    map,
    unmap,
    encodeMap: ({ fdOffset, shmOffset, len, writable }) =>
      encodeFsRange(form, { fdOffset, cOffset: shmOffset, len, access: writable ? 'read-write' : 'read' }),
    encodeUnmap: ({ shmOffset, len }) => encodeFsRange(form, { fdOffset: 0, cOffset: shmOffset, len, access: 'none' }),
  };
}

const DIALECTS: Readonly<Record<FrontendProfile['dialect'], MapDialect>> = {
  shmem: SHMEM,
  'fs-map': fsMap(1),
  'fs-map-2021': fsMap(2),
};

/** The dialect that a profile asks for. */
export function mapDialect(profile: FrontendProfile): MapDialect {
  return DIALECTS[profile.dialect];
}

/** The form of the virtio-fs dialect that a profile asks for; null: it speaks SHMEM. */
export function fsForm(profile: FrontendProfile): FsForm | null {
  if (profile.dialect === 'shmem') {
    return null;
  }
  return profile.dialect === 'fs-map' ? 1 : 2;
}
