/**
 * The lookups that a READDIRPLUS counts, many at a time. A process that goes on does the request anew and counts all entries
 * of its own reply; then it takes back what the process before had counted of the same entries. Those it does not have by
 * name: only how many, and a digest of their nodeids. So it takes back nothing where the directory has changed meanwhile, and
 * those inodes are forgotten with the session.
 */
import type { Intent } from '@oriel/fuse';
import { TWO_32 } from '@oriel/layout';
import type { Share } from '../share.ts';

const SEED = 0x811c_9dc5;

/** Digest of a list of nodeids with one more. */
function digestOf(digest: number, nodeid: number): number {
  const low = Math.imul(digest ^ (nodeid >>> 0), 0x0100_0193);
  return Math.imul(low ^ Math.floor(nodeid / TWO_32) ^ (low >>> 15), 0x85eb_ca6b) >>> 0;
}

/** Notes and takes back the lookups of one reply at a time. */
export class OwnListings {
  readonly #share: Share;
  #intent: Intent | null = null;
  /** Entries of this reply that were counted. */
  #index = 0;
  #digest = SEED;
  #nodeid = 0;
  #before = 0;
  /** How many entries another process counted, and what they were; 0: none. */
  #counted = 0;
  #countedDigest = 0;
  /** As many nodeids of this reply, and whether they are those. */
  readonly #first: number[] = [];
  #same = false;

  constructor(share: Share) {
    this.#share = share;
  }

  /** A reply begins. @param intent - null: nobody is to know */
  begin(intent: Intent | null): void {
    this.#intent = intent;
    this.#index = 0;
    this.#digest = SEED;
    this.#first.length = 0;
    this.#same = false;
    this.#counted = 0;
    if (intent?.again) {
      this.#takeBackLast(intent);
      this.#counted = intent.counted;
    }
    if (intent !== null && this.#counted > 0) {
      this.#countedDigest = intent.digestAt(this.#counted - 1);
    }
  }

  /** Before the lookup of an entry is counted. */
  counts(slot: number): void {
    const intent = this.#intent;
    if (intent === null) {
      return;
    }
    const { inodes } = this.#share;
    this.#nodeid = inodes.nodeid(slot);
    this.#before = inodes.count(slot);
    // What another process noted stays until this reply is whole.
    if (this.#counted === 0) {
      intent.countsAt(this.#index, this.#nodeid, this.#before, digestOf(this.#digest, this.#nodeid));
    }
  }

  /** The entry stands in the reply: with its lookup, or without, which was taken back then. */
  added(slot: number): void {
    const intent = this.#intent;
    if (intent === null) {
      return;
    }
    if (this.#share.inodes.count(slot) === this.#before) {
      if (this.#counted === 0) {
        intent.progress = this.#index;
      }
      return;
    }
    this.#digest = digestOf(this.#digest, this.#nodeid);
    this.#index++;
    if (this.#counted === 0) {
      intent.counted = this.#index;
    } else if (this.#index <= this.#counted) {
      this.#first.push(this.#nodeid);
      this.#same = this.#index === this.#counted && this.#digest === this.#countedDigest;
    }
  }

  /** The reply is whole. */
  end(): void {
    const intent = this.#intent;
    this.#intent = null;
    if (intent === null || this.#counted === 0) {
      return;
    }
    if (this.#same) {
      this.#takeBack();
    }
    intent.progress = 0;
    intent.counted = 0;
    if (this.#index > 0) {
      intent.countsAt(this.#index - 1, this.#nodeid, this.#before, this.#digest);
      intent.counted = this.#index;
    }
  }

  #takeBack(): void {
    const { inodes } = this.#share;
    for (const nodeid of this.#first) {
      const slot = inodes.slotOf(nodeid);
      if (slot >= 0) {
        inodes.forget(slot, 1);
      }
    }
  }

  /** An entry that was noted, and perhaps counted, and of which it is not known whether it came into the reply. */
  #takeBackLast(intent: Intent): void {
    const { inodes } = this.#share;
    const last = intent.counted;
    if (intent.progress <= last) {
      return;
    }
    const slot = inodes.slotOf(intent.nodeidAt(last));
    if (slot >= 0 && inodes.count(slot) >>> 0 === (intent.countBeforeAt(last) + 1) >>> 0) {
      inodes.forget(slot, 1);
    }
    intent.progress = last;
  }
}
