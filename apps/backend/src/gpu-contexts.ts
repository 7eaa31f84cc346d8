/** Kinds of context by the name that `--capsets` gives them; plain data, since the command line is read without a device. */

/** In the order of the help. */
export const contextTypeNames: readonly string[] = ['memory', 'cross-domain'];
