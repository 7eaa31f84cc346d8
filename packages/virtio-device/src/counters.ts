/** What a server counts over all its connections: plain fields, so that counting costs an addition. */
import type { QueueStats } from '@oriel/virtqueue';

/** Counters of one server. Chains, calls and bytes of stopped queues are folded in at their stop. */
export class Counters {
  connections = 0;
  acceptErrors = 0;
  /** Wakes by a kick eventfd. */
  kicks = 0;
  /** Calls of `process`. */
  batches = 0;
  /** Batches that found nothing. */
  emptyBatches = 0;
  /** Batches found by the spin poller, with no kick awaited. */
  polled = 0;
  /** Rings that broke. */
  ringErrors = 0;
  /** Resets: a new driver after an old one, or RESET_DEVICE. */
  resets = 0;
  chains = 0;
  completed = 0;
  calls = 0;
  callsSuppressed = 0;
  badChains = 0;
  bytesRead = 0;
  bytesWritten = 0;

  /** Adds the counts of a queue that ends. */
  fold(stats: QueueStats): void {
    this.chains += stats.chains;
    this.completed += stats.completed;
    this.calls += stats.calls;
    this.callsSuppressed += stats.callsSuppressed;
    this.badChains += stats.badChains;
    this.bytesRead += stats.bytesRead;
    this.bytesWritten += stats.bytesWritten;
  }
}
