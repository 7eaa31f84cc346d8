/** What the threads of the truncation trials are given. */

export interface TruncateOrder {
  /** Lent. */
  readonly fd: number;
  readonly pages: number;
  /** 0: truncate now (1) and done (0); 1: pages left; 2: the end (1). */
  readonly state: Int32Array;
  readonly seed: number;
}

export interface SweepOrder {
  readonly addr: number;
  readonly size: number;
  readonly pages: number;
  /** 0: sweeps made; 1: the end (1); 2: words that are neither a stamp nor zero; 3: exits; then one count of zeros a chunk. */
  readonly state: Int32Array;
  readonly chunkPages: number;
}

/** What the first word of a page holds. */
export function pageStamp(page: number): number {
  return 0x5000_0000 + page;
}
