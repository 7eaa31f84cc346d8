/** Our front-end and driver on the disk of qemu-storage-daemon (libvhost-user, package qemu-utils). */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { leakCheck } from '@oriel/sys/testing';
import { VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD } from '@oriel/vhost-user';
import { VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import { expect } from 'chai';
import * as blk from '../../../packages/virtio-device/examples/blk/layout.ts';
import { guestSuite, type HostProcess } from '../index.ts';
import { BLK_BLOCK, blkRequests, VIRTIO_BLK_F_WRITE_ZEROES, wrongBlock } from '../src/peer-blk.ts';
import { PeerMachine } from '../src/peer-machine.ts';
import { startStorageDaemon } from '../src/storage-daemon.ts';

const BLOCKS = 2048;
const QUEUES = 4;
const { VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_DISCARD, VirtioBlkConfig } = blk;
const DEVICE = [VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES];

describe('our front-end on qemu-storage-daemon', () => {
  const suite = guestSuite('peer-qsd');
  let disk: string;
  let socketPath: string;
  let peer: HostProcess;

  before(() => {
    const { packages } = suite.environment;
    process.stdout.write(`      peer: qemu-storage-daemon, package qemu-utils ${packages['qemu-utils']}\n`);
  });
  beforeEach(async () => {
    const dir = suite.folder('qsd');
    disk = join(dir, 'disk.img');
    socketPath = join(dir, 'disk.sock');
    writeFileSync(disk, '');
    truncateSync(disk, BLOCKS * BLK_BLOCK);
    peer = await startStorageDaemon(suite.environment, { socketPath, imagePath: disk, queues: QUEUES });
  });
  afterEach(async () => {
    await peer?.stop();
  });

  for (const eventIdx of [true, false]) {
    for (const indirect of [true, false]) {
      const words = `${eventIdx ? 'with' : 'without'} EVENT_IDX, ${indirect ? 'with' : 'without'} INDIRECT_DESC`;
      it(`does 8000 verified requests over ${QUEUES} split rings, ${words}`, () => {
        const ring = [
          ...(eventIdx ? [VIRTIO_RING_F_EVENT_IDX] : []),
          ...(indirect ? [VIRTIO_RING_F_INDIRECT_DESC] : []),
        ];
        using machine = new PeerMachine(socketPath, { features: [...DEVICE, ...ring], queues: QUEUES });
        const { features } = machine.mock.frontend;
        expect([...DEVICE, ...ring].filter((bit) => !features.has(bit))).to.deep.equal([]);
        expect(machine.mock.frontend.queueCount).to.equal(QUEUES);
        const config = machine.config(VirtioBlkConfig.byteLength);
        expect(VirtioBlkConfig.capacity.get(config, 0)).to.equal((BLOCKS * BLK_BLOCK) / blk.SECTOR);
        expect(VirtioBlkConfig.numQueues.get(config, 0)).to.equal(QUEUES);
        const drivers = Array.from({ length: QUEUES }, (_, index) => machine.start(index));
        const model = new Uint8Array(BLOCKS);
        machine.load(drivers, 16, blkRequests({ model, count: 8000, discard: true, writeZeroes: true }));
        expect(drivers.map(({ outstanding }) => outstanding)).to.deep.equal([0, 0, 0, 0]);
        expect(wrongBlock(model, readFileSync(disk))).to.equal(-1);
      });
    }
  }

  it('gives the base back at a stop, goes on there, and serves the next front-end', () => {
    const model = new Uint8Array(BLOCKS);
    const some = (count: number) => blkRequests({ model, count, discard: false, writeZeroes: false });
    using _leaks = leakCheck();
    {
      using machine = new PeerMachine(socketPath, { features: [...DEVICE, VIRTIO_RING_F_EVENT_IDX] });
      const driver = machine.start(0);
      machine.load([driver], 8, some(100));
      const base = machine.mock.stopRing(0);
      expect(base).to.equal(100);
      machine.resume(0, driver, base);
      machine.load([driver], 8, some(100));
      expect(machine.mock.stopRing(0)).to.equal(200);
    }
    using machine = new PeerMachine(socketPath, { features: DEVICE });
    machine.load([machine.start(1)], 8, some(500));
    expect(wrongBlock(model, readFileSync(disk))).to.equal(-1);
  });

  it('offers neither packed rings nor an in-flight region: nothing more to try with it', () => {
    using machine = new PeerMachine(socketPath, { features: DEVICE });
    expect(machine.offered.has(VIRTIO_F_RING_PACKED)).to.equal(false);
    expect(machine.offeredProtocol.has(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)).to.equal(false);
  });
});
