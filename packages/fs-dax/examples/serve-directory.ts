/** Serves a directory to one QEMU: virtio-fs with a DAX window of 64 MiB. Arguments: the directory, the socket. */
import { FsDevice } from '@oriel/fs-dax';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { BlockingLoop, openOffload, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

const [sharedDir = '.', socketPath = '/tmp/oriel-fs.sock'] = process.argv.slice(2);
process.umask(0); // the driver applies that of its callers
const sys = openSys();
using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop);
using fs = new PassthroughFilesystem({ sys, sharedDir, offload });
using device = new FsDevice({ sys, fs, tag: 'share', windowSize: 64 << 20, sharedDir });
using _server = serve(device, {
  sys,
  loop,
  offload,
  socketPath,
  profile: profileFor('qemu', sys.mem.pageSize),
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
