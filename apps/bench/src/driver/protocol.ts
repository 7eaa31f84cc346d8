/** What the bench and its driver process say to each other. */
import type { RunResult } from './runner.ts';

/** A command; each gets one answer. `side` names a back-end. */
export type DriverCommand =
  | { readonly kind: 'connect'; readonly side: string; readonly socketPath: string; readonly shareDir: string }
  /** Makes the workload ready, and runs its verification pass. */
  | { readonly kind: 'prepare'; readonly side: string; readonly workload: string }
  | {
      readonly kind: 'run';
      readonly side: string;
      readonly workload: string;
      readonly depth: number;
      readonly seconds: number;
      /** Process of the back-end, or 0. */
      readonly pid: number;
    };

/** The answer to a command; only a `run` has a result. */
export type DriverAnswer =
  | { readonly kind: 'done'; readonly result: RunResult | null }
  | { readonly kind: 'failed'; readonly message: string };
