/** Serves an entropy device on a socket until a front-end came and left: `node examples/serve-rng.ts /tmp/rng.sock`. */
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { RngDevice } from './rng-device.ts';

const sys = openSys();
using loop = new BlockingLoop(sys);
using device = new RngDevice();
using _server = serve(device, {
  sys,
  loop,
  profile: profileFor('qemu', sys.mem.pageSize),
  socketPath: process.argv[2] ?? '/tmp/oriel-rng.sock',
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
