/** The one error class of this package. */

/**
 * - `ERR_CROSS_DOMAIN_CHANNEL`: a channel type is no number for it, or two channels have one (see the message).
 * - `ERR_CROSS_DOMAIN_LIMIT`: a limit is out of range (see the message).
 */
export type CrossDomainErrorCode = 'ERR_CROSS_DOMAIN_CHANNEL' | 'ERR_CROSS_DOMAIN_LIMIT';

export class CrossDomainError extends Error {
  override readonly name = 'CrossDomainError';
  readonly code: CrossDomainErrorCode;

  constructor(code: CrossDomainErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}
