/** The commands that one device carries out. */

/** By name: the kind of device that knows it. */
export const deviceCommands: Readonly<Record<string, string>> = { outputs: 'gpu', screenshot: 'gpu', blobs: 'gpu' };
