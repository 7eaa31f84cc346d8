/** Limits of a queue that its owner may set, the same for both ring formats. */
import type { QueueConfig } from './queue.ts';

/** Completions between two calls unless told otherwise: keeps driver and device busy at the same time. */
const DEFAULT_CALL_BATCH = 8;
/** Longest chain unless told otherwise, in pieces: 1024 pages and what stands around them. */
const DEFAULT_MAX_PIECES = 1088;
/** Pieces that a chain has room for at first; longer ones make it grow, once. */
const FIRST_CAPACITY = 8;

/** What a queue goes by. */
export interface QueueLimits {
  /** Longest chain, in pieces. */
  readonly maxPieces: number;
  /** Completions between two calls. */
  readonly callBatch: number;
  /** Pieces that a chain has room for at first. */
  readonly firstCapacity: number;
}

/** @throws RangeError for options that are no whole numbers from 1 */
export function queueLimits(config: QueueConfig): QueueLimits {
  const { size, maxPieces = Math.max(size, DEFAULT_MAX_PIECES), callBatch = DEFAULT_CALL_BATCH } = config;
  if (!Number.isInteger(maxPieces) || maxPieces < 1) throw new RangeError(`maxPieces ${maxPieces}, want 1 or more`);
  if (!Number.isInteger(callBatch) || callBatch < 1) throw new RangeError(`callBatch ${callBatch}, want 1 or more`);
  return { maxPieces, callBatch: Math.min(callBatch, size), firstCapacity: Math.min(FIRST_CAPACITY, maxPieces) };
}
