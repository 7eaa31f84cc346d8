/** Serves the device on a vhost-user socket until a front-end came and left: `npm start -- /tmp/my-device.sock`. */
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { MyDevice } from './device.ts';

const sys = openSys();
using loop = new BlockingLoop(sys);
using device = new MyDevice();
using _server = serve(device, {
  sys,
  loop,
  profile: profileFor('qemu', sys.mem.pageSize),
  socketPath: process.argv[2] ?? '/tmp/my-device.sock',
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
