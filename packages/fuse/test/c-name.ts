/** Field names of C from those of the layouts. */

/** Names that C spells with leading underscores. */
const RESERVED: Readonly<Record<string, string>> = {
  'fuse_statx.spare0': '__spare0',
  'fuse_statx.spare2': '__spare2',
  'fuse_sx_time.reserved': '__reserved',
};

/** `entryValidNsec` -> `entry_valid_nsec`. */
export function cName(struct: string, field: string): string {
  return RESERVED[`${struct}.${field}`] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
