/** All clauses. */
import type { Clause } from '../clause.ts';
import type { KnownDevice } from '../devices/device.ts';
import { areaClauses } from './areas.ts';
import { deviceClauses } from './device.ts';
import { floodClauses } from './floods.ts';
import { memoryClauses } from './memory.ts';
import { messageClauses } from './messages.ts';
import { packedRingClauses } from './packed-ring.ts';
import { splitRingClauses } from './split-ring.ts';
import { stateClauses } from './state.ts';
import { streamClauses } from './stream.ts';
import { vringClauses } from './vring.ts';

/** Every clause that concerns a peer, in the order in which they are run. @param device - null: no requests are known */
export function allClauses(device: KnownDevice | null): readonly Clause[] {
  return [
    ...streamClauses,
    ...messageClauses,
    ...stateClauses,
    ...memoryClauses,
    ...vringClauses,
    ...areaClauses,
    ...splitRingClauses,
    ...packedRingClauses,
    ...floodClauses,
    ...(device === null ? [] : deviceClauses(device)),
  ];
}
