/** What the parts of one context share. */
import type { ContextHost } from '@oriel/gpu-blob';
import type { Deliveries } from './events/deliveries.ts';
import type { Lingering } from './items/lingering.ts';
import type { CrossDomainLimits, Quotas } from './limits.ts';
import type { BlobSource } from './received/blob-source.ts';

export interface Surroundings {
  readonly host: ContextHost;
  readonly limits: CrossDomainLimits;
  readonly quotas: Quotas;
  readonly deliveries: Deliveries;
  /** Makes host memory. */
  readonly memory: BlobSource;
  /** For pipes that outlive the context. */
  readonly lingering: Lingering;
  /** Writes a log line about this context, unless there were too many. */
  say(text: string): void;
}
