/** What a soak is: something that runs one round after another, each from its own seed. */
import type { Xorshift } from './random.ts';

/** Counts what was done and what was seen. */
export class Tally {
  /** Things done to the code under test. */
  operations = 0;
  readonly counts: Record<string, number> = {};

  /** One operation. */
  did(name: string): void {
    this.operations++;
    this.saw(name);
  }

  /** Something that came of it. */
  saw(name: string, count = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + count;
  }
}

/** A soak that runs; disposed at its end, where it looks for what was left behind. */
export interface SoakRun extends AsyncDisposable {
  /** One round: starts afresh, and throws when anything is not as it should be. Takes about a second at most. */
  round(random: Xorshift, tally: Tally): void | Promise<void>;
}

/** What a module of a soak exports. */
export interface SoakModule {
  readonly open: () => SoakRun | Promise<SoakRun>;
  /** Names that must have been counted after `enough` rounds: a soak that never gets there proves nothing. */
  readonly wanted: readonly string[];
  readonly enough: number;
}
