/** The honest probe: a front-end and a driver that mean well, on a connection of their own. */
import type { KnownDevice } from './devices/device.ts';
import { TortureError } from './errors.ts';
import { vringState } from './payloads.ts';
import { askHonestly } from './request.ts';
import { Session, type SessionOptions } from './session.ts';

/** What became of the honest probe. */
export type ProbeResult =
  | { readonly kind: 'served' }
  | { readonly kind: 'unreachable' | 'closed' | 'silent' | 'wrong'; readonly detail: string };

const KINDS = {
  ERR_TORTURE_CONNECT: 'unreachable',
  ERR_TORTURE_CLOSED: 'closed',
  ERR_TORTURE_SILENT: 'silent',
  ERR_TORTURE_REFUSED: 'wrong',
} as const;

/** Runs honest steps. @returns how they went */
export function attempt(steps: () => void): ProbeResult {
  try {
    steps();
    return { kind: 'served' };
  } catch (error) {
    if (!(error instanceof TortureError)) throw error;
    return { kind: KINDS[error.code], detail: error.detail };
  }
}

/** A whole session: negotiation, memory, a ring, a request where the device is known, and the ring's stop. */
export function probe(options: SessionOptions, device: KnownDevice | null): ProbeResult {
  return attempt(() => {
    using session = new Session(options);
    session.negotiate();
    session.shareMemory();
    request(session, device);
  });
}

/** Another try on a connection that bore a clause: memory, the ring and the request once more. */
export function probeAgain(session: Session, device: KnownDevice | null): ProbeResult {
  return attempt(() => {
    if (!session.negotiated) session.negotiate();
    session.shareMemory();
    session.must('GET_VRING_BASE', vringState(session.options.queue, 0));
    session.forgetRings();
    request(session, device);
  });
}

function request(session: Session, device: KnownDevice | null): void {
  const ring = session.startRing();
  if (device !== null) {
    const wrong = device.check(askHonestly(session, ring, device.honest));
    if (wrong !== null) throw new TortureError('ERR_TORTURE_REFUSED', wrong);
  }
  session.must('GET_VRING_BASE', vringState(ring.index, 0));
}
