/** A GPU whose guest programs show their windows on a compositor of the host: node serve-wayland.ts SOCKET WAYLAND-SOCKET */
import { tmpdir } from 'node:os';
import { CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND, CrossDomainContextType, SecuredDoor } from '@oriel/cross-domain';
import { GpuDevice } from '@oriel/gpu-blob';
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

const [socketPath = '/tmp/oriel-gpu.sock', path = '/run/user/1000/wayland-0'] = process.argv.slice(2);
const sys = openSys();
using loop = new BlockingLoop(sys);
const door = new SecuredDoor({ path, mode: 'auto', identity: { appId: 'org.example.vm' }, directory: tmpdir() });
using crossDomain = new CrossDomainContextType({
  sys,
  channels: [{ type: CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND, door }],
  limits: { maxFds: 64, maxBytes: 64 << 20 },
});
using device = new GpuDevice({ sys, hostVisible: 256 << 20, contextTypes: [crossDomain] });
using _server = serve(device, {
  sys,
  loop,
  socketPath,
  profile: profileFor('qemu', sys.mem.pageSize),
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
