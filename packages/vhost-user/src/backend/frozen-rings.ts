/** Rings as plain data, and back. */
import type { Fd } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import type { FrozenRing } from './frozen-state.ts';
import type { RingConfigOptions } from './ring-config.ts';
import { checkRingAddresses, checkRingBase, checkRingSize } from './ring-geometry.ts';
import type { RingList } from './ring-list.ts';

/** Stopped rings as plain data. @param give - takes a descriptor and says where it is */
export function freezeRings({ rings }: RingList, give: (fd: Fd | null) => number): FrozenRing[] {
  return rings.map(({ size, addresses, logged, base, started, enabled, kick, call, err }) => ({
    size,
    addresses,
    logged,
    base,
    started,
    enabled,
    kick: give(kick),
    call: give(call),
    err: give(err),
  }));
}

/**
 * Sets rings up as others were, under the rules of the messages. None is started.
 * @param take - gives the descriptor of a place away, null for none
 * @throws VhostUserError ERR_VU_FROZEN, ERR_VU_RING, ERR_VU_DESCRIPTOR
 */
export function thawRings(
  list: RingList,
  frozen: readonly FrozenRing[],
  { handler, negotiated, memory }: Omit<RingConfigOptions, 'onLogged'>,
  take: (place: number) => Fd | null,
): void {
  const { features } = negotiated;
  if (frozen.length !== list.rings.length) {
    throw new VhostUserError('ERR_VU_FROZEN', 'bug', `${frozen.length} rings, here ${list.rings.length}`);
  }
  for (const [index, { kick, call, err, ...plain }] of frozen.entries()) {
    const ring = list.rings[index]!;
    ring.kick = list.checkedEventFd(ring, take(kick));
    ring.call = list.checkedEventFd(ring, take(call));
    ring.err = list.checkedEventFd(ring, take(err));
    if (plain.size !== 0) {
      checkRingSize(index, plain.size, handler.maxQueueSize, features);
    }
    if (plain.addresses !== null) {
      checkRingAddresses(index, plain.size, plain.addresses, features, memory);
    }
    if (plain.base !== null) {
      checkRingBase(index, plain.size, plain.base, features);
    }
    Object.assign(ring, plain);
  }
}
