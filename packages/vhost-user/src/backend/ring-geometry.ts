/** What a ring's size and addresses must be like (VIRTIO 1.3, 2.7 and 2.8). */
import type { GuestMemory } from '@oriel/guest-memory';
import { isSafeUnsigned } from '@oriel/layout';
import { VhostUserError } from '../errors.ts';
import type { FeatureSet } from '../features.ts';
import { VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX } from '../features.ts';

/** The ring parts as user addresses. For a packed ring: descriptor ring, driver area, device area. */
export interface RingAddresses {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
}

interface Part {
  readonly name: string;
  readonly align: number;
  readonly len: number;
  readonly address: number;
}

/** Checks SET_VRING_NUM. @throws VhostUserError ERR_VU_RING */
export function checkRingSize(index: number, size: number, maxSize: number, features: FeatureSet): void {
  const powerOfTwo = (size & (size - 1)) === 0;
  if (size < 1 || size > maxSize || (!powerOfTwo && !features.has(VIRTIO_F_RING_PACKED))) {
    throw refusal(index, `size ${size}, wants a power of two up to ${maxSize}`);
  }
}

/**
 * Checks that the parts are aligned, and, once the size is known (not 0), that each lies in one region of guest memory.
 * @throws VhostUserError ERR_VU_RING
 */
export function checkRingAddresses(
  index: number,
  size: number,
  addresses: RingAddresses,
  features: FeatureSet,
  memory: GuestMemory,
): void {
  for (const part of ringParts(size, addresses, features)) {
    if (!isSafeUnsigned(part.address) || part.address % part.align !== 0) {
      throw refusal(index, `${part.name} at 0x${part.address.toString(16)}, wants a multiple of ${part.align}`);
    }
    if (size > 0 && memory.findUser(part.address, part.len) === null) {
      const range = `0x${part.address.toString(16)}+${part.len}`;
      throw refusal(index, `${part.name} at ${range} does not lie in one memory region`);
    }
  }
}

function ringParts(size: number, { desc, avail, used }: RingAddresses, features: FeatureSet): Part[] {
  if (features.has(VIRTIO_F_RING_PACKED)) {
    return [
      { name: 'descriptor ring', align: 16, len: 16 * size, address: desc },
      { name: 'driver area', align: 4, len: 4, address: avail },
      { name: 'device area', align: 4, len: 4, address: used },
    ];
  }
  const event = features.has(VIRTIO_RING_F_EVENT_IDX) ? 2 : 0;
  return [
    { name: 'desc', align: 16, len: 16 * size, address: desc },
    { name: 'avail', align: 2, len: 4 + 2 * size + event, address: avail },
    { name: 'used', align: 4, len: 4 + 8 * size + event, address: used },
  ];
}

function refusal(ring: number, detail: string): VhostUserError {
  return new VhostUserError('ERR_VU_RING', 'frontend', `ring ${ring}: ${detail}`, { ring });
}
