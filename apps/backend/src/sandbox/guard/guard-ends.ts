/** Two sockets between a device and the keeper that guards its files: plain data. */
export interface GuardEnds {
  /** Calls and their replies. */
  readonly calls: number;
  /** What happens to watched files, and answers. */
  readonly events: number;
}

/** Where a keeper has its ends when it starts. */
export const KEEPER_ENDS: GuardEnds = { calls: 3, events: 4 };
