/** What comes of a soak, as data: the process of the soak writes it, its starter reads it. */

/** Why a soak failed. */
export interface SoakFailure {
  /** The error's code, or its name. */
  readonly code: string;
  readonly message: string;
  readonly stack: string;
}

/** What a soak did. */
export interface SoakReport {
  readonly name: string;
  /** A run with this seed begins with the same round; of a failed soak: with the round that failed. */
  readonly seed: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly operations: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Memory of its process at the end, MiB. */
  readonly rssMiB: number;
  readonly failure: SoakFailure | null;
}

/** Any error as a failure. */
export function failureOf(error: unknown): SoakFailure {
  if (!(error instanceof Error)) return { code: 'unknown', message: String(error), stack: '' };
  const { code } = error as { code?: unknown };
  const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : '';
  return {
    code: typeof code === 'string' ? code : error.name,
    message: error.message,
    stack: (error.stack ?? '') + cause,
  };
}
