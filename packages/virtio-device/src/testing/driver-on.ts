/** A driver on a queue of a mock front-end: its ring and buffers lie in the front-end's RAM, beside those of other queues. */
import { MockFrontend, type MockRing } from '@oriel/vhost-user/testing';
import { VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { MockDriver } from './mock-driver.ts';

/** Of RAM, for each queue. */
const QUEUE_BYTES = 0x2_0000;
const DEFAULT_SIZE = 16;

/** A driver that starts afresh, with the format of rings that was negotiated. @param size - entries */
export function driverOn(
  mock: MockFrontend,
  index: number,
  size = DEFAULT_SIZE,
  kick = () => mock.kick(index),
): MockDriver {
  const { features } = mock.frontend;
  return new MockDriver({
    memory: { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA },
    gpa: MockFrontend.RAM_GPA + index * QUEUE_BYTES,
    len: QUEUE_BYTES,
    size,
    eventIdx: true,
    packed: features.has(VIRTIO_F_RING_PACKED),
    inOrder: features.has(VIRTIO_F_IN_ORDER),
    kick,
  });
}

/** Starts the ring of a driver. @throws VhostUserError what the back-end refused */
export function startRing(mock: MockFrontend, index: number, driver: MockDriver, base = driver.start): MockRing {
  const { size, desc, avail, used } = driver;
  return mock.startRing(index, { size, desc, avail, used, base });
}
