/** Who holds descriptors while no process of ours lives. */
import type { Fd } from '@oriel/sys';

/** Descriptors by name, held by a launcher or by systemd. Names hold no `:` and no control character (sd_notify(3)). */
export interface FdStore {
  /**
   * Hands a copy of an open file over, in the place of one that had the name.
   * @param fd - lent
   * @returns false when it was not taken
   */
  put(name: string, fd: number): boolean;
  /** Holds it no more. */
  remove(name: string): void;
  /** A descriptor of its own for what is held under a name; null: nothing is. @throws SysError EMFILE */
  take(name: string): Fd | null;
  /** What is held now. */
  readonly names: readonly string[];
}
