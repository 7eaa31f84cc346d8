/** What the runner asks of a workload. */
import type { Message } from './message.ts';

/** Operations that can be under way at the same time. */
export const SLOTS = 32;

/** A workload at one session: messages that are ready to be sent, `SLOTS` operations wide. */
export interface Work {
  /** Of so many operations one is timed; the clock is only looked at then. */
  readonly sampleEvery: number;
  /** Starts the next operation in a slot. @returns its first request */
  begin(slot: number): Message;
  /**
   * Checks an answer.
   * @param used - bytes that the used ring says
   * @returns the operation's next request, or null when it is done
   * @throws BenchError ERR_BENCH_ANSWER
   */
  answered(message: Message, used: number): Message | null;
  /**
   * Runs operations one after another and compares all that they bring with the host's files, byte by byte.
   * @param once - runs the next operation of a slot to its end
   * @throws BenchError ERR_BENCH_ANSWER
   */
  verify(once: (slot: number) => void): void;
}
