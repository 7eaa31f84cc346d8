/**
 * Serves several of the example devices on one loop until it is ended; disks record in INFLIGHT memory what is in flight:
 * `node peer-serve.ts '{"kind":"rng","socketPath":"/tmp/rng.sock","packed":true}' '{"kind":"blk",...}'`, see `ServedPeer`.
 */
import { BlockingLoop, openOffload, openSys } from '@oriel/sys';
import { FeatureSet, profileFor } from '@oriel/vhost-user';
import { serve, type VirtioDevice } from '@oriel/virtio-device';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { BlkDevice } from '../../../packages/virtio-device/examples/blk/device.ts';
import { Image } from '../../../packages/virtio-device/examples/blk/image.ts';
import { RngDevice } from '../../../packages/virtio-device/examples/rng-device.ts';

/** A device that this program serves. */
export type ServedPeer =
  | { readonly kind: 'rng'; readonly socketPath: string; readonly packed: boolean }
  | {
      readonly kind: 'blk';
      readonly socketPath: string;
      readonly imagePath: string;
      readonly queues: number;
      /** What the guest sees as its serial number. */
      readonly id: string;
      /** Packed rings are offered beside split ones. */
      readonly packed: boolean;
    };

if (import.meta.main) {
  const sys = openSys();
  using loop = new BlockingLoop(sys);
  using offload = openOffload(sys, loop, { helpers: 2 });
  using owned = new DisposableStack();
  const make = (peer: ServedPeer): VirtioDevice => {
    if (peer.kind === 'rng') return owned.use(new RngDevice());
    const image = owned.use(new Image(sys, peer.imagePath, { readOnly: false }));
    return owned.use(new BlkDevice({ sys, image, queues: peer.queues, id: peer.id }));
  };
  for (const text of process.argv.slice(2)) {
    const peer = JSON.parse(text) as ServedPeer;
    owned.use(
      serve(make(peer), {
        sys,
        loop,
        offload,
        profile: profileFor('qemu', sys.mem.pageSize),
        ringFeatures: peer.packed ? FeatureSet.of(VIRTIO_F_RING_PACKED) : new FeatureSet(),
        socketPath: peer.socketPath,
        ...(peer.kind === 'blk' ? { survive: {} } : {}),
        onEvent: (event, detail) => console.log(peer.socketPath, event, detail),
      }),
    );
  }
  console.log('all are served');
  loop.run();
}
