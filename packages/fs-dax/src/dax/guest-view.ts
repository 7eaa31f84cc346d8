/**
 * What a guest learns of files: sizes no further than its mappings reach, never the size of a file that is grown for a moment,
 * and which files get DAX. It is asked about every request, so one without window work behind it leaves after a few compares.
 */
import { type Attributes, FOPEN_KEEP_CACHE, FUSE_ATTR_DAX, type Operation } from '@oriel/fuse';
import { S_IFMT, S_IFREG } from '@oriel/sys';
import type { DaxInode } from './inode.ts';
import { CHANGES, GIVES_ENTRY, OPENS, REACHES_OTHERS, TELLS_SIZE, traitsOf } from './opcodes.ts';
import { extendRanges, isBehind, lacksBytes } from './reach.ts';
import type { DaxState } from './state.ts';

export class GuestView {
  readonly #state: DaxState;

  constructor(state: DaxState) {
    this.#state = state;
  }

  /** Session hook `attributes`. */
  attributes(nodeid: number, attr: Attributes, inDirectory: boolean): boolean {
    const { mode, growth, copies, ranges } = this.#state;
    if (mode === 'none' || (attr.mode & S_IFMT) !== S_IFREG) return true;
    if (growth?.grown && growth.inode!.nodeid === nodeid) growth.correct(attr);
    const inode = this.#state.inodes.get(nodeid);
    if (inode !== undefined) inode.told = Math.max(inode.told, attr.size);
    if (copies.any || ranges.partial.size > 0) {
      if (inode !== undefined) {
        copies.extend(inode);
        if (inDirectory && lacksBytes(this.#state.region!, inode, attr.size)) return false;
      }
    }
    if (mode === 'inode' && this.#state.inodes.flag(nodeid, attr.size, this.#state.region!.limits)) {
      attr.flags |= FUSE_ATTR_DAX;
    }
    return true;
  }

  /** Session hook `hold`: a file that is grown for a moment is not to be read, written, resized or moved. */
  hold(op: Operation): boolean {
    const { copies, growth, kept } = this.#state;
    if (copies.any) {
      const error = copies.before(op);
      if (error < 0) {
        kept.refuse(op, error);
        return true;
      }
    }
    if (growth === null || growth.inode === null) return false;
    const reaches = growth.grown && (traitsOf(op.opcode) & REACHES_OTHERS) !== 0;
    if (op.nodeid !== growth.inode.nodeid && !reaches) return false;
    kept.hold(op);
    return true;
  }

  /** Session hook `beforeReply`: keeps a reply that tells of bytes which the guest cannot reach yet. */
  beforeReply(op: Operation): boolean {
    const { mode, ranges, inodes, growth, kept } = this.#state;
    const traits = traitsOf(op.opcode);
    const settled = ranges.partial.size === 0;
    if ((traits & (settled ? CHANGES | OPENS : TELLS_SIZE | OPENS)) === 0 || mode === 'none') return false;
    const nodeid = (traits & GIVES_ENTRY) === 0 ? op.targetNodeid : op.entry.nodeid;
    const inode = (traits & CHANGES) === 0 ? inodes.get(nodeid) : this.#changed(nodeid, traits);
    // Without it Linux drops the page-table entries of a DAX file in use when it is opened again.
    if ((traits & OPENS) !== 0 && (mode === 'always' || inode?.flagged)) op.openFlags |= FOPEN_KEEP_CACHE;
    if (settled || inode === undefined || (traits & TELLS_SIZE) === 0) return false;
    // What was looked up while the file is grown may be told when it is not any more.
    if (growth?.grown && growth.inode === inode) growth.correct(op.entry.attr);
    else if (!isBehind(this.#state, inode)) return false;
    kept.keepReply(op, (done) => extendRanges(this.#state, inode, done));
    // A growth may have waited for this request to be executed.
    growth?.retry();
    return true;
  }

  /** The guest changed a file: its tail may be grown, and copies of its ranges take the change over. */
  #changed(nodeid: number, traits: number): DaxInode | undefined {
    const { mode, options, growth, inodes, copies } = this.#state;
    let inode = inodes.get(nodeid);
    const resizes = (traits & (TELLS_SIZE | GIVES_ENTRY)) === TELLS_SIZE;
    if (inode === undefined && resizes && mode === 'always' && options.tail === 'refuse' && growth !== null) {
      const known = inodes.know(nodeid);
      inode = typeof known === 'number' ? undefined : known;
    }
    if (inode === undefined) return undefined;
    if (resizes) {
      inode.guestSized = true;
      // Smaller than before is nobody else's doing now.
      inode.lastSize = 0;
      if (inode.fd !== null) inode.told = Math.max(inode.told, this.#state.facts.size(inode.fd.fd));
    }
    if (copies.any) copies.reload(inode);
    return inode;
  }
}
