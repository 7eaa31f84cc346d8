/**
 * A back-end in a process of its own, to be killed: it answers a u64 by three times its value, four chains at a time and the
 * last first, and writes down what it works on. `triple-backend.ts SOCKET LOG REQUESTS POINT FEATURES`: after so many
 * requests it kills itself, before or after their answer is used (0: never).
 */
import { appendFileSync } from 'node:fs';
import { BlockingLoop, check, EPOLLIN, Fd, openSys, type Watch } from '@oriel/sys';
import { BackendConnection, type BackendHandler, FeatureSet, profiles, type RingSetup } from '@oriel/vhost-user';
import { type Chain, PackedQueue, type RingQueue, SplitQueue } from '@oriel/virtqueue';

const [path, log, requests, point, features] = process.argv.slice(2) as [string, string, string, string, string];
const VIRTIO_F_RING_PACKED = 34;
const BATCH = 4;

const sys = openSys();
const loop = new BlockingLoop(sys);
let connection: BackendConnection | null = null;
let queue: RingQueue | null = null;
let watch: Watch | null = null;
let callFd = -1;
let count = 0;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function answer(chain: Chain): void {
  const bytes = new BigUint64Array(1);
  chain.read(0, new Uint8Array(bytes.buffer), 0, 8);
  appendFileSync(log, `${bytes[0]} ${chain.again ? 'again' : 'new'}\n`);
  bytes[0] = bytes[0]! * 3n;
  chain.write(0, new Uint8Array(bytes.buffer), 0, 8);
  count++;
  const last = count === Number(requests);
  if (last && point === 'before') {
    die();
  }
  queue!.complete(chain, 8);
  if (last) {
    die();
  }
}

function turn(): void {
  for (;;) {
    const batch: Chain[] = [];
    for (let chain = queue!.next(); chain !== null; chain = batch.length < BATCH ? queue!.next() : null) {
      batch.push(chain);
    }
    if (batch.length === 0) {
      queue!.flush();
      return;
    }
    batch.reverse().forEach(answer);
  }
}

function startRing(setup: RingSetup): void {
  const config = {
    index: setup.index,
    size: setup.size,
    desc: setup.desc,
    avail: setup.avail,
    used: setup.used,
    addressSpace: 'user' as const,
    base: setup.base,
    inflight: setup.inflight,
    eventIdx: false,
    indirect: false,
    call: () => {
      sys.loop.eventfdSignal(callFd);
    },
    onError: (error: Error) => {
      throw error;
    },
  };
  const { memory, acceptedFeatures } = connection!;
  queue = acceptedFeatures.has(VIRTIO_F_RING_PACKED) ? new PackedQueue(memory, config) : new SplitQueue(memory, config);
  watch = loop.watch(setup.kickFd, EPOLLIN, () => {
    sys.loop.eventfdDrain(setup.kickFd);
    turn();
  });
  loop.defer(() => queue !== null && turn());
}

const handler: BackendHandler = {
  features: FeatureSet.of(...features.split(',').map(Number)),
  queueCount: 1,
  maxQueueSize: 256,
  configSize: 0,
  shmRegions: [],
  inflight: true,
  readConfig: () => {},
  writeConfig: () => {},
  setFeatures: () => {},
  memoryChanged: () => {},
  startRing,
  stopRing: () => {
    watch?.[Symbol.dispose]();
    const base = queue?.base ?? 0;
    queue = null;
    return base;
  },
  setCall: (_index, fd) => {
    callFd = fd;
  },
  resumed: () => {},
  suspended: () => {},
  reset: () => {},
  disconnected: () => loop.stop(),
};

const listener = new Fd(sys.fd, check(sys.socket.listenUnix(path, 0o600, -1, 1), 'listen'));
loop.watch(listener.fd, EPOLLIN, () => {
  const socket = new Fd(sys.fd, check(sys.socket.accept(listener.fd), 'accept'));
  connection = new BackendConnection({ sys, loop, socket, profile: profiles.strict, handler });
});
loop.run();
process.exit(0);
