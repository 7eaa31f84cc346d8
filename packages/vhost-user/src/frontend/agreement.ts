/** What a front-end and its first back-end agreed on: what a back-end that takes its place must have. */
import { VhostUserError } from '../errors.ts';
import type { NegotiationResult, NegotiationWish, ShmRegion } from './negotiate.ts';

/** What stays the same from one back-end to the next. Device features without bit 30. */
export type Agreement = Omit<NegotiationResult, 'offered'>;

/** The agreement that a connection came to. */
export function agreementOf({ features, protocolFeatures, queueCount, shmRegions }: Agreement): Agreement {
  return { features, protocolFeatures, queueCount, shmRegions };
}

/** The same again: no feature more, and none less. */
export function wishFor({ features, protocolFeatures }: Agreement): NegotiationWish {
  return { features, protocolFeatures, needs: { features, protocolFeatures } };
}

/** @returns what makes a back-end, whose features are right, unfit to go on for the one before; or null */
export function unlike(before: Agreement, { queueCount, shmRegions }: Agreement): VhostUserError | null {
  if (queueCount >= before.queueCount && sameRegions(shmRegions, before.shmRegions)) {
    return null;
  }
  const detail = `${queueCount} queues, regions ${JSON.stringify(shmRegions)}, unlike the back-end before`;
  return new VhostUserError('ERR_VU_FEATURES', 'backend', detail);
}

function sameRegions(some: readonly ShmRegion[], others: readonly ShmRegion[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ shmid, size }, index) => others[index]!.shmid === shmid && others[index]!.size === size)
  );
}
