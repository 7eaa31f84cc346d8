/** What a soak finds. */

/**
 * - `ERR_SOAK_MISMATCH`: what the code did is not what the model says.
 * - `ERR_SOAK_LEAK`: descriptors, mappings, inodes or handles were left behind.
 * - `ERR_SOAK_ENDLESS`: work that should end did not.
 * - `ERR_SOAK_DIED`: the process of the soak, or one that it started, ended by itself.
 * - `ERR_SOAK_IDLE`: something that the soak is meant to reach did not happen once: the soak itself is broken.
 * - `ERR_SOAK_OPTION`: a name or number that makes no sense.
 */
export type SoakErrorCode =
  | 'ERR_SOAK_MISMATCH'
  | 'ERR_SOAK_LEAK'
  | 'ERR_SOAK_ENDLESS'
  | 'ERR_SOAK_DIED'
  | 'ERR_SOAK_IDLE'
  | 'ERR_SOAK_OPTION';

/** The one error class of this package. */
export class SoakError extends Error {
  override readonly name = 'SoakError';
  readonly code: SoakErrorCode;

  constructor(code: SoakErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** Holds what the code did against what it should have done. @throws SoakError ERR_SOAK_MISMATCH */
export function same(what: string, got: unknown, wanted: unknown): void {
  if (Object.is(got, wanted)) return;
  throw new SoakError('ERR_SOAK_MISMATCH', `${what}: got ${String(got)}, wanted ${String(wanted)}`);
}

/** @throws SoakError ERR_SOAK_MISMATCH unless `holds` */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new SoakError('ERR_SOAK_MISMATCH', what);
}
