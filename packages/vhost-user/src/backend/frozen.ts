/** A connection written down: what one process gives to another that goes on with it. */
import type { Fd } from '@oriel/sys';

/**
 * A connection that `BackendConnection.freeze` ended here and `BackendConnection.thaw` continues, in this process or in
 * another: the front-end notices nothing.
 */
export interface FrozenConnection {
  /** Plain JSON data; it names the descriptors by their place in `fds`. */
  readonly state: unknown;
  /** Socket, back channel, memory, kick, call, err, in-flight memory, log: all of them, given away. */
  readonly fds: readonly Fd[];
}
