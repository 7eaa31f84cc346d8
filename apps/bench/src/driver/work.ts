/** What the runner asks of a workload. */
import type { SplitDriver } from '@oriel/virtqueue';
import type { Message } from './message.ts';

/** Operations that can be under way at the same time. */
export const SLOTS = 32;

/** A request that is put together once and sent again and again. */
export interface Prepared {
  /** The operation that it belongs to. */
  readonly slot: number;
  readonly queue: { readonly ring: SplitDriver };
  /** Head of its chain. */
  readonly head: number;
}

/** A workload at one session: messages that are ready to be sent, `SLOTS` operations wide. */
export interface Work<M extends Prepared = Message> {
  /** Of so many operations one is timed; the clock is only looked at then. */
  readonly sampleEvery: number;
  /** Starts the next operation in a slot. @returns its first request */
  begin(slot: number): M;
  /**
   * Checks an answer.
   * @param used - bytes that the used ring says
   * @returns the operation's next request, or null when it is done
   * @throws BenchError ERR_BENCH_ANSWER
   */
  answered(message: M, used: number): M | null;
  /**
   * Runs operations one after another and compares all that they bring with the host's files, byte by byte.
   * @param once - runs the next operation of a slot to its end
   * @throws BenchError ERR_BENCH_ANSWER
   */
  verify(once: (slot: number) => void): void;
}
