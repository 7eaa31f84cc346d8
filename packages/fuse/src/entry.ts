/** The answer to a lookup. */
import { Attributes } from './attributes.ts';

/** What a lookup-like request answers. `nodeid` 0 on success: a negative entry cached for `entryValid`. */
export class Entry {
  nodeid = 0;
  /** nodeid and generation together are never used for another inode. */
  generation = 0;
  entryValidSec = 0;
  entryValidNs = 0;
  readonly attr: Attributes = new Attributes();
}
