/** The devices that the suite knows. */
import { blk } from './blk.ts';
import type { KnownDevice } from './device.ts';
import { fs } from './fs.ts';
import { gpu } from './gpu.ts';
import { rng } from './rng.ts';

/** In the order in which they are tried; any writable buffer is a request for rng, so it comes last. */
export const knownDevices: readonly KnownDevice[] = [fs, gpu, blk, rng];

/** The device of this name; null where it is not known. */
export function knownDevice(name: string): KnownDevice | null {
  return knownDevices.find((device) => device.name === name) ?? null;
}
