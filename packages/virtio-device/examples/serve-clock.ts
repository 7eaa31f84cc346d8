/** Serves a clock with a page in the guest until a front-end came and left: `node examples/serve-clock.ts /tmp/clock.sock`. */
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor, withoutMemorySlots } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { ClockDevice } from './clock-device.ts';

const sys = openSys();
using loop = new BlockingLoop(sys);
using device = new ClockDevice({ sys });
using _server = serve(device, {
  sys,
  loop,
  profile: withoutMemorySlots(profileFor('qemu', sys.mem.pageSize)),
  socketPath: process.argv[2] ?? '/tmp/oriel-clock.sock',
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
