/** Serves a file as persistent memory to one QEMU. Arguments: the file (a power of two of bytes), the socket. */
import { PmemDevice, PmemImage } from '@oriel/pmem';
import { BlockingLoop, openOffload, openSys } from '@oriel/sys';
import { profileFor, withoutMemorySlots } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

const [path = 'disk.img', socketPath = '/tmp/oriel-pmem.sock'] = process.argv.slice(2);
const sys = openSys();
using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop);
using image = PmemImage.open(sys, path);
using device = new PmemDevice({ image });
using _server = serve(device, {
  sys,
  loop,
  offload,
  socketPath,
  profile: withoutMemorySlots(profileFor('qemu', sys.mem.pageSize)),
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
