/** The one place where a message is held against its line of the table. */
import type { VhostUserBlame } from '../errors.ts';
import { VhostUserError } from '../errors.ts';
import type { FeatureSet } from '../features.ts';
import { VHOST_USER_PROTOCOL_F_SHMEM } from '../features.ts';
import type { MessageSpec } from './messages.ts';

/**
 * Checks payload size and descriptor count of a request.
 * @throws VhostUserError ERR_VU_SIZE, ERR_VU_FDS
 */
export function checkShape(
  spec: MessageSpec,
  view: DataView,
  size: number,
  fdCount: number,
  blame: VhostUserBlame,
): void {
  if (!spec.payload.accepts(view, size)) {
    throw new VhostUserError('ERR_VU_SIZE', blame, `payload of ${size} bytes, wants ${spec.payload.sizes}`, {
      message: spec.name,
    });
  }
  const { min, max, count } = spec.fds;
  const exact = count === undefined ? -1 : count(view);
  if (exact >= 0 ? fdCount !== exact : fdCount < min || fdCount > max) {
    const wanted = exact >= 0 ? exact : min === max ? min : `${min}..${max}`;
    throw new VhostUserError('ERR_VU_FDS', blame, `${fdCount} descriptors, wants ${wanted}`, { message: spec.name });
  }
}

/** What was negotiated on a connection. */
export interface Negotiated {
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
  /** Protocol feature bit that means SHMEM here. */
  readonly shmemBit: number;
}

/** Whether a protocol feature is in force, with the connection's own bit for SHMEM. */
export function hasProtocolFeature(negotiated: Negotiated, bit: number): boolean {
  return negotiated.protocolFeatures.has(bit === VHOST_USER_PROTOCOL_F_SHMEM ? negotiated.shmemBit : bit);
}

/**
 * Checks that what a message needs was negotiated.
 * @throws VhostUserError ERR_VU_GATE
 */
export function checkGate(spec: MessageSpec, negotiated: Negotiated, blame: VhostUserBlame): void {
  if (spec.gate === null || gateIsOpen(spec, negotiated)) {
    return;
  }
  const what =
    'feature' in spec.gate ? `device feature ${spec.gate.feature}` : `protocol feature ${spec.gate.protocol}`;
  throw new VhostUserError('ERR_VU_GATE', blame, `${what} was not negotiated`, { message: spec.name });
}

/** Whether what a message needs was negotiated. */
export function gateIsOpen({ gate }: MessageSpec, negotiated: Negotiated): boolean {
  if (gate === null) {
    return true;
  }
  return 'feature' in gate ? negotiated.features.has(gate.feature) : hasProtocolFeature(negotiated, gate.protocol);
}
