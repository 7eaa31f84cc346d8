/** The smallest back-end: one ring that it never looks into, for one front-end: `node examples/minimal-backend.ts SOCKET`. */
import { BlockingLoop, check, EPOLLIN, Fd, openSys } from '@oriel/sys';
import { BackendConnection, type BackendHandler, FeatureSet, profiles, VIRTIO_F_VERSION_1 } from '@oriel/vhost-user';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: minimal-backend.ts SOCKET');

const sys = openSys();
using loop = new BlockingLoop(sys);
const handler: BackendHandler = {
  features: FeatureSet.of(VIRTIO_F_VERSION_1),
  queueCount: 1,
  maxQueueSize: 256,
  configSize: 4,
  shmRegions: [{ shmid: 0, size: 64 * 1024 }],
  readConfig: (offset, into) => into.set(Buffer.from('vhst').subarray(offset, offset + into.length)),
  writeConfig: () => {
    throw new Error('the configuration is read-only');
  },
  setFeatures: (features) => console.log(`features ${features}`),
  memoryChanged: () => {},
  startRing: (ring) => console.log(`ring ${ring.index} starts at ${ring.base}`),
  stopRing: (index) => {
    console.log(`ring ${index} stops`);
    return 0;
  },
  setCall: () => {},
  resumed: () => {},
  suspended: () => {},
  reset: () => {},
  disconnected: (reason) => {
    console.log(reason);
    loop.stop();
  },
};

using listener = new Fd(sys.fd, check(sys.socket.listenUnix(path, 0o600, -1, 1), 'listen'));
using _watch = loop.watch(listener.fd, EPOLLIN, () => {
  const socket = new Fd(sys.fd, check(sys.socket.accept(listener.fd), 'accept'));
  new BackendConnection({ sys, loop, socket, profile: profiles.qemu, handler });
});
console.log('listening');
loop.run();
