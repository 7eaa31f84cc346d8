/** The devices that this program can serve. */
import type { DeviceCommand } from './command.ts';
import { fsCommand } from './fs.ts';
import { gpuCommand } from './gpu.ts';
import { pmemCommand } from './pmem.ts';

/** By the word that the command line and `--device` use. */
export const devices: Readonly<Record<string, DeviceCommand>> = {
  fs: fsCommand,
  gpu: gpuCommand,
  pmem: pmemCommand,
};

/** The command of a device, or null. */
export function deviceCommand(type: string): DeviceCommand | null {
  return Object.hasOwn(devices, type) ? devices[type]! : null;
}
