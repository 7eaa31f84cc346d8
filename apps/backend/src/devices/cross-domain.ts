/** Makes the context type that leads guest programs to sockets of the host. */
import { tmpdir } from 'node:os';
import {
  CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND,
  CrossDomainContextType,
  type Door,
  PathDoor,
  SecuredDoor,
} from '@oriel/cross-domain';
import type { Logger, Sys } from '@oriel/sys';

/** Plain data, checked. */
export interface ChannelSettings {
  /** Absolute paths by CROSS_DOMAIN_CHANNEL_TYPE_*. */
  readonly channels: readonly { readonly type: number; readonly path: string }[];
  /** Of the Wayland channel. */
  readonly security: 'auto' | 'require' | 'off';
  readonly appId: string | undefined;
  readonly instanceId: string | undefined;
  /** Of one guest program; `maxTotalFds`: of all. */
  readonly maxFds: number;
  readonly maxTotalFds: number;
  /** Bytes. */
  readonly maxBytes: number;
  readonly maxBlobs: number;
}

export function makeCrossDomain(sys: Sys, log: Logger, settings: ChannelSettings): CrossDomainContextType {
  const { maxFds, maxTotalFds, maxBytes, maxBlobs } = settings;
  const channels = settings.channels.map(({ type, path }) => ({ type, door: doorTo(type, path, log, settings) }));
  return new CrossDomainContextType({ sys, log, channels, limits: { maxFds, maxTotalFds, maxBytes, maxBlobs } });
}

function doorTo(type: number, path: string, log: Logger, settings: ChannelSettings): Door {
  const { security, appId, instanceId } = settings;
  if (type !== CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND || security === 'off') return new PathDoor(path);
  const identity = { ...(appId === undefined ? {} : { appId }), ...(instanceId === undefined ? {} : { instanceId }) };
  const directory = process.env['XDG_RUNTIME_DIR'] ?? tmpdir();
  return new SecuredDoor({ path, mode: security, identity, directory, log });
}
