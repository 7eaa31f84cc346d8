/**
 * A hostile driver and a hostile front-end for any vhost-user back-end.
 * @packageDocumentation
 */
export type { Clause, Stage } from './clause.ts';
export { deviceClauses } from './clauses/device.ts';
export { allClauses } from './clauses/index.ts';
export type { DeviceLie, DeviceReply, DeviceRequest, KnownDevice } from './devices/device.ts';
export { knownDevice, knownDevices } from './devices/index.ts';
export { TortureError, type TortureErrorCode } from './errors.ts';
export { Peer, type PeerOptions } from './peer.ts';
export type { ProbeResult } from './probe.ts';
export { selectClauses } from './select.ts';
export type { Session, TortureSys } from './session.ts';
export { type Judgement, judge, type Observation, type PeerEnd, type Verdict } from './verdict.ts';
