/** Why a clause may not concern a peer. */
import type { Session } from '../session.ts';

/** The peer must offer a protocol feature. */
export function offersProtocol(bit: number, name: string): (session: Session) => string | null {
  return ({ offeredProtocol }) => (offeredProtocol.has(bit) ? null : `${name} is not offered`);
}

/** The peer must offer a device feature. */
export function offersFeature(bit: number, name: string): (session: Session) => string | null {
  return ({ offered }) => (offered.has(bit) ? null : `${name} is not offered`);
}
