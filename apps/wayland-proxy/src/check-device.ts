/** Whether the guest's GPU leads to a compositor: looked at once, at the start. */
import { errnoName, Mapping } from '@oriel/sys';
import {
  CROSS_DOMAIN_CAPSET_ID,
  CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND,
  CrossDomainCapabilities,
} from './channel/protocol.ts';
import { type DrmSys, RenderNode } from './drm/render-node.ts';
import { ProxyError } from './errors.ts';

const CAPSET_VERSION = 0;

function openNode(sys: DrmSys, path: string): RenderNode {
  try {
    return RenderNode.open(sys, path);
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    const detail = `${path}: ${code}: give the VM a GPU of \`oriel gpu\`, load virtio-gpu, or choose another --render-node`;
    throw new ProxyError('ERR_PROXY_DEVICE', detail, undefined, { cause });
  }
}

/** @throws ProxyError ERR_PROXY_DEVICE that says what to change */
export function checkDevice(sys: DrmSys, path: string): void {
  using node = openNode(sys, path);
  using data = Mapping.anonymous(sys.mem, sys.mem.pageSize);
  const error = node.capset(CROSS_DOMAIN_CAPSET_ID, CAPSET_VERSION, data);
  if (error < 0) {
    const detail = `${path} has no cross-domain contexts (${errnoName(-error)}): start \`oriel gpu\` with --channel wayland=PATH`;
    throw new ProxyError('ERR_PROXY_DEVICE', detail);
  }
  const channels = CrossDomainCapabilities.supportedChannels.get(new DataView(data.u8.buffer), 0);
  if ((channels & (1 << CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND)) === 0) {
    const detail = `${path} has no channel to a compositor: start \`oriel gpu\` with --channel wayland=PATH`;
    throw new ProxyError('ERR_PROXY_DEVICE', detail);
  }
}
