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

/** The base of a ring that no driver has used: for a packed one, both indexes 0 and both wrap counters 1. */
export function freshBase(features: FeatureSet): number {
  return features.has(VIRTIO_F_RING_PACKED) ? 0x8000_8000 : 0;
}

/**
 * Checks SET_VRING_BASE. Split: the next avail index, 16 bits. Packed, two places of 16 bits, the one to take next low and the
 * one to use next high, wrap counter on top: each in the ring, once the size is known (not 0), and at most a lap apart.
 * @throws VhostUserError ERR_VU_RING
 */
export function checkRingBase(index: number, size: number, base: number, features: FeatureSet): void {
  if (!features.has(VIRTIO_F_RING_PACKED)) {
    if (base > 0xffff) {
      throw refusal(index, `base ${base} of a split ring, which counts 16 bits`);
    }
    return;
  }
  if (size === 0) {
    return;
  }
  const [avail, used] = [base & 0xffff, base >>> 16].map((place) => lapPlace(place, size)) as [number, number];
  const taken = avail >= used ? avail - used : avail - used + 2 * size;
  if (avail < 0 || used < 0 || taken > size) {
    throw refusal(index, `base 0x${base.toString(16)} of a packed ring of ${size} entries`);
  }
}

/** A place of a packed ring in its two laps, -1 where the index is not in the ring. */
function lapPlace(place: number, size: number): number {
  const offset = place & 0x7fff;
  if (offset >= size) {
    return -1;
  }
  return (place & 0x8000) !== 0 ? offset : offset + size;
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
