/** Flags of Node under which the sources of this checkout run as they are. */
export const NODE_FLAGS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'] as const;
