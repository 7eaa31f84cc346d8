/** What can go wrong on a vhost-user connection: one class, a closed set of codes. */

/**
 * - `ERR_VU_VERSION`, `ERR_VU_FLAGS`: header of another protocol version, or with bits that do not belong there.
 * - `ERR_VU_TOO_LARGE`: header announces more payload than any message has.
 * - `ERR_VU_SIZE`: payload size is not the message's.
 * - `ERR_VU_FDS`: too few or too many descriptors, or descriptors off the first byte.
 * - `ERR_VU_FDS_LOST`: the kernel dropped descriptors (MSG_CTRUNC).
 * - `ERR_VU_UNKNOWN`: message number outside the table.
 * - `ERR_VU_EOF`: the stream ended inside a message.
 * - `ERR_VU_SOCKET`: the socket failed; the errno is in the detail.
 * - `ERR_VU_GATE`: the message's feature was not negotiated.
 * - `ERR_VU_UNSUPPORTED`: a known message that this side does not serve.
 * - `ERR_VU_FEATURES`: feature bits that were never offered.
 * - `ERR_VU_STATE`: not in this state (ring addresses before memory, a running ring reconfigured).
 * - `ERR_VU_INDEX`: no such ring.
 * - `ERR_VU_RING`: ring size, alignment or address is not usable.
 * - `ERR_VU_MEMORY`: memory region refused; `cause` is guest-memory's error.
 * - `ERR_VU_CONFIG`: configuration space range or flags.
 * - `ERR_VU_DESCRIPTOR`: a descriptor of the wrong kind.
 * - `ERR_VU_INBAND`: in-band notifications without the features that they need.
 * - `ERR_VU_INFLIGHT`: in-flight memory that does not hold what it says.
 * - `ERR_VU_LOG`: a dirty log that cannot be used.
 * - `ERR_VU_FROZEN`: the state of a frozen connection is not one.
 * - `ERR_VU_DEVICE`: the device refused; `cause` is its error.
 * - `ERR_VU_REPLY`: a reply that answers nothing that was asked.
 * - `ERR_VU_REFUSED`: the peer answered with failure.
 * - `ERR_VU_CLOSED`: the connection has ended.
 * - `ERR_VU_TIMEOUT`: no answer in time.
 */
export type VhostUserErrorCode =
  | 'ERR_VU_VERSION'
  | 'ERR_VU_FLAGS'
  | 'ERR_VU_TOO_LARGE'
  | 'ERR_VU_SIZE'
  | 'ERR_VU_FDS'
  | 'ERR_VU_FDS_LOST'
  | 'ERR_VU_UNKNOWN'
  | 'ERR_VU_EOF'
  | 'ERR_VU_SOCKET'
  | 'ERR_VU_GATE'
  | 'ERR_VU_UNSUPPORTED'
  | 'ERR_VU_FEATURES'
  | 'ERR_VU_STATE'
  | 'ERR_VU_INDEX'
  | 'ERR_VU_RING'
  | 'ERR_VU_MEMORY'
  | 'ERR_VU_CONFIG'
  | 'ERR_VU_DESCRIPTOR'
  | 'ERR_VU_INBAND'
  | 'ERR_VU_INFLIGHT'
  | 'ERR_VU_LOG'
  | 'ERR_VU_FROZEN'
  | 'ERR_VU_DEVICE'
  | 'ERR_VU_REPLY'
  | 'ERR_VU_REFUSED'
  | 'ERR_VU_CLOSED'
  | 'ERR_VU_TIMEOUT';

/** Who broke the rule: the peer on the socket, this host's kernel, or the caller. */
export type VhostUserBlame = 'frontend' | 'backend' | 'device' | 'host' | 'bug';

/** Where it happened. */
export interface VhostUserErrorPlace {
  /** Message name, as in the table. */
  readonly message?: string;
  /** Ring index. */
  readonly ring?: number;
}

/** An error of the protocol; `code` is stable, the text is for people. */
export class VhostUserError extends Error {
  override readonly name = 'VhostUserError';
  readonly code: VhostUserErrorCode;
  readonly blame: VhostUserBlame;
  readonly at: VhostUserErrorPlace;

  constructor(
    code: VhostUserErrorCode,
    blame: VhostUserBlame,
    detail: string,
    at: VhostUserErrorPlace = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${at.message === undefined ? '' : `${at.message}: `}${detail}`, options);
    this.code = code;
    this.blame = blame;
    this.at = at;
  }
}

const VIOLATIONS: ReadonlySet<VhostUserErrorCode> = new Set<VhostUserErrorCode>([
  'ERR_VU_VERSION',
  'ERR_VU_FLAGS',
  'ERR_VU_TOO_LARGE',
  'ERR_VU_SIZE',
  'ERR_VU_FDS',
  'ERR_VU_FDS_LOST',
  'ERR_VU_UNKNOWN',
  'ERR_VU_EOF',
  'ERR_VU_SOCKET',
  'ERR_VU_REPLY',
  'ERR_VU_INBAND',
]);

/**
 * True for errors after which the two sides no longer agree on the stream or the protocol: the connection ends, also when
 * a failing ack could be sent. Everything else refuses one message.
 */
export function isProtocolViolation(error: VhostUserError): boolean {
  return VIOLATIONS.has(error.code);
}

/** What code that is not ours threw, as an error of this protocol: ERR_VU_DEVICE with the cause, unless it is one already. */
export function asProtocolError(error: unknown, place: VhostUserErrorPlace = {}): VhostUserError {
  return error instanceof VhostUserError
    ? error
    : new VhostUserError('ERR_VU_DEVICE', 'device', String(error), place, { cause: error });
}
