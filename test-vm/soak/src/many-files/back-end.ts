/**
 * The back-end of the soak, a process of its own: a share whose inodes are held by file handles. It sends a message when it
 * listens, and answers each message with what it holds. Arguments: the directory, the socket, descriptors for inodes.
 */
import { readdirSync } from 'node:fs';
import { FsDevice } from '@oriel/fs-dax';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { NodeLoop, openOffload, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

/** What the back-end holds, after a collection of garbage. */
export interface Holdings {
  /** Inodes that the guest knows, the root not among them. */
  readonly inodes: number;
  /** Open descriptors of the process. */
  readonly descriptors: number;
  /** Descriptors held for inodes. */
  readonly inodeDescriptors: number;
  /** Resident bytes. */
  readonly rss: number;
}

const [sharedDir = '', socketPath = '', descriptors = ''] = process.argv.slice(2);
const sys = openSys();
const loop = new NodeLoop(sys);
const offload = openOffload(sys, loop);
const limits = { maxInodeDescriptors: Number(descriptors) };
const fs = new PassthroughFilesystem({ sys, sharedDir, offload, limits, inodeFileHandles: 'mandatory' });
const device = new FsDevice({ sys, fs, tag: 'many' });
serve(device, { sys, loop, offload, socketPath, profile: profileFor('qemu', sys.mem.pageSize) });

process.on('message', () => {
  globalThis.gc!();
  const { inodes, inodeDescriptors } = fs.stats;
  const holds: Holdings = {
    inodes: inodes - 1,
    descriptors: readdirSync('/proc/self/fd').length,
    inodeDescriptors,
    rss: process.memoryUsage.rss(),
  };
  process.send!(holds);
});
process.once('disconnect', () => process.exit());
loop.run();
process.send!('listening');
