/** What a reconnecting front-end is made of. */
import type { FrontendConnection } from './connection.ts';
import type { FrontendOptions } from './handlers.ts';
import type { NegotiationWish } from './negotiate.ts';
import type { RingStart } from './ring-steps.ts';
import type { SharedRegion } from './shared-region.ts';

/** A ring that is started again on each connection. Its descriptors stay the caller's, and open until it is stopped. */
export interface ReconnectingRing extends Omit<RingStart, 'base'> {
  /**
   * Asked at each start: that of a new ring at first; where a back-end died, the ring's used index (packed: the driver's
   * place in the used ring, as taken and as used), as QEMU does it. What was in flight is then fetched again.
   */
  readonly base: () => number;
}

/** What a reconnecting front-end is made of. */
export interface ReconnectingOptions extends Omit<FrontendOptions, 'socket'> {
  /** A new connected socket, or a negative errno: then it is tried again. Never called inside another call. */
  readonly connect: () => number;
  /** For the first connection. Later ones want what that one agreed on, no more and no less. */
  readonly want: NegotiationWish;
  /** At most 8 regions where there are no memory slots. The descriptors stay the caller's. */
  readonly memory: readonly SharedRegion[];
  /** The in-flight area asked for where INFLIGHT_SHMFD is agreed on; without it that feature must not be wanted. */
  readonly inflight?: { readonly queueCount: number; readonly queueSize: number };
  /** Between two attempts, ms; default 100. */
  readonly retryMs?: number;
  /** Longest attempt, ms; default 5000. */
  readonly attemptMs?: number;
  /** A connection stands: negotiated, memory shared, known rings started. @param again - it replaces another */
  readonly up?: (connection: FrontendConnection, again: boolean) => void;
  /** A connection ended, or did not come about (then once for each attempt that reached a back-end). */
  readonly down?: (error: Error) => void;
}
