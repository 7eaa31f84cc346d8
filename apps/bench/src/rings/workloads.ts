/** What is measured of rings. Names are `FORMAT-WORK`; the depth is the length of a batch. */

/** A case by name. */
export interface RingWorkload {
  readonly format: 'split' | 'packed';
  /** `pieces`: all buffers of a chain found and checked; `headers`: 40 bytes read and 16 written as well. */
  readonly work: 'pieces' | 'headers';
}

export const RING_WORKLOADS: Readonly<Record<string, RingWorkload>> = {
  'split-pieces': { format: 'split', work: 'pieces' },
  'split-headers': { format: 'split', work: 'headers' },
  'packed-pieces': { format: 'packed', work: 'pieces' },
  'packed-headers': { format: 'packed', work: 'headers' },
};

/** Chains that become available at once. */
export const RING_BATCHES: readonly number[] = [1, 32];
