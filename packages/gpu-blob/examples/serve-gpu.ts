/** Serves a GPU to one QEMU: a display that nobody sees, and memory shared with guest programs. Argument: the socket. */
import { GpuDevice, HeadlessSink, MemoryContextType } from '@oriel/gpu-blob';
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

const [socketPath = '/tmp/oriel-gpu.sock'] = process.argv.slice(2);
const sys = openSys();
using loop = new BlockingLoop(sys);
const memory = new MemoryContextType({ sys });
using sink = new HeadlessSink();
using device = new GpuDevice({
  sys,
  hostVisible: 64 << 20,
  outputs: [{ width: 1280, height: 800 }],
  contextTypes: [memory],
  sink,
});
using _server = serve(device, {
  sys,
  loop,
  socketPath,
  profile: profileFor('qemu', sys.mem.pageSize),
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail, `${memory.objects().length} objects`),
});
loop.run();
