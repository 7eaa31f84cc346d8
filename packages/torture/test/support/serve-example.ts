/** Serves an example device of `virtio-device` for as many front-ends as come: `node serve-example.ts rng|blk SOCKET [IMAGE]`. */
import { BlockingLoop, openOffload, openSys } from '@oriel/sys';
import { FeatureSet, profileFor } from '@oriel/vhost-user';
import { serve, type VirtioDevice } from '@oriel/virtio-device';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { BlkDevice } from '../../../virtio-device/examples/blk/device.ts';
import { Image } from '../../../virtio-device/examples/blk/image.ts';
import { RngDevice } from '../../../virtio-device/examples/rng-device.ts';

const [kind, socketPath, imagePath = ''] = process.argv.slice(2) as [string, string, string?];
const sys = openSys();
using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop, { helpers: 1 });
using image = kind === 'blk' ? new Image(sys, imagePath, { readOnly: false }) : null;
using device: VirtioDevice = image === null ? new RngDevice() : new BlkDevice({ sys, image, queues: 2 });
using _server = serve(device, {
  sys,
  loop,
  offload,
  profile: profileFor('qemu', sys.mem.pageSize),
  ringFeatures: FeatureSet.of(VIRTIO_F_RING_PACKED),
  socketPath,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
