/** A piece of work of a display channel: one message or several that belong together. */
import type { MessageWriter } from './message-writer.ts';

export interface ChannelJob {
  /** Which scanout it changes or reads; -1: none. */
  readonly scanout: number;
  /** It must not begin yet; what stands behind it waits as well. */
  readonly waits: boolean;
  /** There is no further message. */
  readonly complete: boolean;
  /** Starts the next message in the idle `writer`, or becomes complete without one. */
  compose(writer: MessageWriter): void;
  /** The view that `compose` lent to the writer is gone; zeros went out in its place. */
  lost?(): void;
  /** Called once, when the socket has taken everything. */
  finish(): void;
  /** Called once instead of `finish`, when the channel ends first. */
  abandon(): void;
}
