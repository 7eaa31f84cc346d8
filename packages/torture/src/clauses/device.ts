/** Requests of a known device that lie about themselves. */
import { type Clause, clausesOf } from '../clause.ts';
import type { KnownDevice } from '../devices/device.ts';
import { askHonestly, askOnce } from '../request.ts';

/** How long a device may take over a lie, ms: what is not answered by then is judged by the probe. */
const PATIENCE_MS = 300;

/** A clause for each lie that is known of a device. */
export function deviceClauses(device: KnownDevice): Clause[] {
  return device.lies.map(({ id, source, what, readable, writable }) =>
    clausesOf(`device-${device.name}`, 'memory', source)(id, what, (session) => {
      const ring = session.startRing();
      // A FUSE session must be open for most requests to be looked at.
      askHonestly(session, ring, device.honest);
      const reply = askOnce(session, ring, { readable, writable }, PATIENCE_MS);
      const refusal = reply === null ? null : device.refusal(reply);
      if (refusal !== null) session.refuse(refusal);
      session.settle();
    }),
  );
}
