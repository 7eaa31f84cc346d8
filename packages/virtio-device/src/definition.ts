/** The check of what a device declares: once, before anything is offered to a front-end. */
import type { FrontendProfile } from '@oriel/vhost-user';
import type { VirtioDevice } from './device.ts';
import { DeviceError } from './errors.ts';
import { isDeviceFeature } from './features.ts';

/** The configuration space that vhost-user can carry (VHOST_USER_MAX_CONFIG_SIZE). */
const MAX_CONFIG_SIZE = 256;
const MAX_RING_SIZE = 32768;
const MAX_QUEUES = 256;

function refuse(device: VirtioDevice, detail: string): never {
  throw new DeviceError('ERR_DEVICE_DEFINITION', `device ${device.name}: ${detail}`);
}

function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
}

/**
 * Checks a device's declarations against VIRTIO, vhost-user and the front-end's profile.
 * @throws DeviceError ERR_DEVICE_DEFINITION
 */
export function checkDefinition(device: VirtioDevice, profile: FrontendProfile): void {
  const foreign = device.features.bits().filter((bit) => !isDeviceFeature(bit));
  if (foreign.length > 0) {
    refuse(device, `feature bits ${foreign.join(', ')} belong to the ring or the transport, wanted 0..23 and 50..63`);
  }
  if (!Number.isInteger(device.queueCount) || device.queueCount < 1 || device.queueCount > MAX_QUEUES) {
    refuse(device, `${device.queueCount} queues, wanted 1..${MAX_QUEUES}`);
  }
  if (!isPowerOfTwo(device.maxQueueSize) || device.maxQueueSize > MAX_RING_SIZE) {
    refuse(device, `maxQueueSize ${device.maxQueueSize}, wanted a power of two up to ${MAX_RING_SIZE}`);
  }
  if (device.config.length > MAX_CONFIG_SIZE) {
    refuse(device, `${device.config.length} bytes of configuration, at most ${MAX_CONFIG_SIZE}`);
  }
  checkRegions(device, profile);
}

function checkRegions(device: VirtioDevice, profile: FrontendProfile): void {
  const regions = device.shmRegions ?? [];
  const { pageSize } = profile.limits;
  const seen = new Set<number>();
  let sum = 0;
  if (regions.length > profile.maxRegions) {
    refuse(device, `${regions.length} regions, front-end ${profile.name} takes ${profile.maxRegions}`);
  }
  for (const { shmid, size } of regions) {
    if (!Number.isInteger(shmid) || shmid < 0 || shmid > 255 || seen.has(shmid)) {
      refuse(device, `shmid ${shmid} is not a number of its own in 0..255`);
    }
    if (!Number.isSafeInteger(size) || size <= 0 || size % pageSize !== 0) {
      refuse(device, `region ${shmid} has ${size} bytes, wanted a multiple of ${pageSize}`);
    }
    seen.add(shmid);
    sum += size;
  }
  if (profile.powerOfTwoRegions && regions.length > 0 && !isPowerOfTwo(sum)) {
    refuse(device, `front-end ${profile.name} wants a power of two for the sum of the regions, not ${sum}`);
  }
}
