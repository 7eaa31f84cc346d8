/**
 * Serves a file as a disk until a front-end came and left: `node examples/serve-blk.ts [OPTIONS] disk.img /tmp/blk.sock`.
 * `--readonly`: for readers only. `--trust-ram`: for front-ends such as libblkio, see `trusting-sys.ts`. `--survive`: serves one
 * front-end after the other, and one that comes back after this program was killed has each request answered once.
 */
import { parseArgs } from 'node:util';
import { BlockingLoop, openOffload, openSys } from '@oriel/sys';
import { FeatureSet, profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { BlkDevice } from './blk/device.ts';
import { Image } from './blk/image.ts';
import { trustingSys } from './trusting-sys.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    readonly: { type: 'boolean', default: false },
    'trust-ram': { type: 'boolean', default: false },
    survive: { type: 'boolean', default: false },
  },
});
const [path = 'disk.img', socketPath = '/tmp/oriel-blk.sock'] = positionals;
const sys = values['trust-ram'] ? trustingSys(openSys()) : openSys();
using loop = new BlockingLoop(sys, { spinNs: 20_000 });
using offload = openOffload(sys, loop, { helpers: 2 });
using image = new Image(sys, path, { readOnly: values.readonly });
using device = new BlkDevice({ sys, image, queues: 4 });
using _server = serve(device, {
  sys,
  loop,
  offload,
  profile: profileFor('qemu', sys.mem.pageSize),
  ringFeatures: FeatureSet.of(VIRTIO_F_RING_PACKED),
  socketPath,
  ...(values.survive ? { survive: {} } : { maxConnections: 1 }),
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
