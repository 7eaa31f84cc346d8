/** How the interfaces of a protocol are written down: one line a message. */

/**
 * A message: its name, then its arguments in the letters of libwayland: `i` int, `u` uint, `f` fixed, `s` string, `a` array,
 * `h` descriptor, `o` object, `n` new object; the last two with `:interface` where the protocol names it. A bare `n` stands for
 * a string, a uint and the id on the wire (wl_registry.bind).
 */
export type MessageLine = string;

/** One interface; requests and events stand at their opcodes. */
export interface InterfaceTable {
  /** The newest version that the lines describe. */
  readonly version: number;
  readonly requests: readonly MessageLine[];
  readonly events: readonly MessageLine[];
}

/** Interfaces by name. */
export type ProtocolTable = Readonly<Record<string, InterfaceTable>>;
