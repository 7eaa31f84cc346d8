/** The check of what a device declares: once, before anything is offered to a front-end. */
import { silentLogger } from '@oriel/sys';
import { checkShmRegions, type FrontendProfile } from '@oriel/vhost-user';
import { isRingSize, VIRTQUEUE_MAX_SIZE } from '@oriel/virtqueue';
import type { VirtioDevice } from './device.ts';
import { DeviceError } from './errors.ts';
import { isDeviceFeature } from './features.ts';

/** The configuration space that vhost-user can carry (VHOST_USER_MAX_CONFIG_SIZE). */
const MAX_CONFIG_SIZE = 256;
const MAX_QUEUES = 256;
const MAX_STATE_BYTES = 2 ** 30;

function refuse(device: VirtioDevice, detail: string): never {
  throw new DeviceError('ERR_DEVICE_DEFINITION', `device ${device.name}: ${detail}`);
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
  if (!isRingSize(device.maxQueueSize)) {
    refuse(device, `maxQueueSize ${device.maxQueueSize}, wanted a power of two up to ${VIRTQUEUE_MAX_SIZE}`);
  }
  if (device.config.length > MAX_CONFIG_SIZE) {
    refuse(device, `${device.config.length} bytes of configuration, at most ${MAX_CONFIG_SIZE}`);
  }
  const { stateBytes = 0 } = device;
  if (!Number.isInteger(stateBytes) || stateBytes < 0 || stateBytes > MAX_STATE_BYTES) {
    refuse(device, `${stateBytes} bytes of state, wanted 0..${MAX_STATE_BYTES}`);
  }
  if (stateBytes > 0 && device.restore === undefined) {
    refuse(device, 'it has state and no restore()');
  }
  try {
    checkShmRegions(device.shmRegions ?? [], profile, silentLogger);
  } catch (cause) {
    refuse(device, (cause as Error).message);
  }
}
