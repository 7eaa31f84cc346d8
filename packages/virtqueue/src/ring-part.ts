/** Where a part of a ring lies in guest memory, whatever the ring's format. */
import type { GuestMemory, MemoryRegion } from '@oriel/guest-memory';
import { VirtqueueError } from './errors.ts';
import type { QueueConfig } from './queue.ts';

/**
 * Finds one part: wholly in one region, aligned, and where a view over it can be.
 * @throws VirtqueueError ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY
 */
export function locatePart(
  memory: GuestMemory,
  config: QueueConfig,
  part: 'desc' | 'avail' | 'used',
  align: number,
  len: number,
): { buffer: ArrayBufferLike; offset: number; gpa: number } {
  const address = config[part];
  const at = { queue: config.index };
  const region = regionOf(memory, config.addressSpace, address, len);
  if (region === null) {
    throw new VirtqueueError(
      'ERR_VIRTQ_ADDRESS',
      'frontend',
      `${part} ring at ${address}, ${len} bytes: no region`,
      at,
    );
  }
  if (address % align !== 0) {
    throw new VirtqueueError(
      'ERR_VIRTQ_ALIGN',
      'frontend',
      `${part} ring at ${address}, want a multiple of ${align}`,
      at,
    );
  }
  if (!region.direct) {
    const what = region.foreign ? 'the device does not take' : 'may be truncated';
    const detail = `${part} ring at ${address} lies in memory that ${what}: share RAM sealed against shrinking`;
    throw new VirtqueueError('ERR_VIRTQ_MEMORY', 'frontend', detail, at);
  }
  const start = config.addressSpace === 'user' ? region.userAddr : region.gpa;
  const offset = address - start;
  return { buffer: region.u8.buffer, offset: region.u8.byteOffset + offset, gpa: region.gpa + offset };
}

function regionOf(memory: GuestMemory, space: 'user' | 'gpa', address: number, len: number): MemoryRegion | null {
  if (space === 'user') return memory.findUser(address, len);
  const region = memory.find(address);
  return region !== null && address - region.gpa + len <= region.size ? region : null;
}
