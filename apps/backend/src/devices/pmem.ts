/** Makes the virtio-pmem device: loaded by a device's thread. */
import { PmemDevice, PmemImage } from '@oriel/pmem';
import type { DeviceContext, DeviceInstance } from '../device-module.ts';

/** Settings of `oriel pmem`, checked. */
export interface PmemDeviceSettings {
  readonly file: string;
  readonly queueSize: number;
}

/** Opens the file and makes the device. */
export function createDevice(context: DeviceContext, options: unknown): DeviceInstance {
  const { file, queueSize } = options as PmemDeviceSettings;
  const { sys, log } = context;
  const image = PmemImage.open(sys, file);
  const device = new PmemDevice({ image, queueSize, log });
  return {
    device,
    stats: () => ({ bytes: image.size, mapped: device.mapped ? 1 : 0 }),
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      image[Symbol.dispose]();
    },
  };
}
