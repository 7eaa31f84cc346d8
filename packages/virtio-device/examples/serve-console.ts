/** Puts a guest's console on this terminal until a front-end came and left: `node examples/serve-console.ts /tmp/con.sock`. */
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { ConsoleDevice } from './console-device.ts';

const { columns, rows } = process.stdout;
const sys = openSys();
using loop = new BlockingLoop(sys);
using device = new ConsoleDevice({ input: 0, output: 1, columns, rows });
using _server = serve(device, {
  sys,
  loop,
  profile: profileFor('qemu', sys.mem.pageSize),
  socketPath: process.argv[2] ?? '/tmp/oriel-console.sock',
  maxConnections: 1,
  onEvent: (event, detail) => console.error(event, detail),
});
loop.run();
