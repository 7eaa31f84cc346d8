/**
 * The in-flight area of a packed queue (vhost-user, "Inflight I/O tracking", packed virtqueue): what the device returns
 * overwrites descriptors in the ring, so the area keeps copies of those of the chains in flight, and the place of the next
 * used descriptor. Its entries are all linked by `next`: those of a chain, and the free ones from free_head on. Why no
 * kill loses or doubles a request:
 * - A chain is copied into free entries. It is in flight when free_head and old_free_head move behind it, which is one store.
 *   The device goes on at the used place + the descriptors in flight, so a chain without that store is fetched again.
 * - A completion stores the new used place and the new free_head beside the old ones; then the used descriptor in the ring, its
 *   flags last; then the old ones become equal to the new. Where they differ, the ring tells: what stands at the old
 *   place is either still available there, and all is as the old ones say, or it is not, and all is as the new ones say.
 *   That question needs the true old place: index and wrap counter of it change in one store of 8 bytes.
 * - Chains that go back to the ring do so newest first, so that those in flight are always the oldest ones there.
 */

import { type InflightArea, inflightError, isNewArea, openInflightArea } from './inflight-area.ts';
import {
  DescStatePacked,
  INFLIGHT_VERSION,
  QueueRegionPacked,
  VRING_DESC_F_NEXT,
  VRING_PACKED_DESC_F_AVAIL,
  VRING_PACKED_DESC_F_USED,
} from './layout.ts';
import type { PackedRing } from './packed-ring.ts';

// Indexes of 32-bit words, from the one description of the layout.
const FREE_HEADS = QueueRegionPacked.freeHead.offset >> 2;
const USED_INDEXES = QueueRegionPacked.usedIdx.offset >> 2;
const USED_WRAPS = QueueRegionPacked.usedWrapCounter.offset >> 2;
/** Index of the 64-bit word with the used place: indexes and wrap counters. */
const USED_PLACE = QueueRegionPacked.usedIdx.offset >> 3;
const ENTRIES = QueueRegionPacked.byteLength >> 2;
/** log2 of the words of an entry. */
const ENTRY_SHIFT = Math.log2(DescStatePacked.byteLength >> 2);
const INFLIGHT_NEXT = DescStatePacked.inflight.offset >> 2;
const LAST_NUM = DescStatePacked.last.offset >> 2;
const COUNTER = DescStatePacked.counter.offset >> 2;
const ID_FLAGS = DescStatePacked.id.offset >> 2;
const LEN = DescStatePacked.len.offset >> 2;
const ADDR = DescStatePacked.addr.offset >> 2;

const AVAIL_USED = (1 << VRING_PACKED_DESC_F_AVAIL) | (1 << VRING_PACKED_DESC_F_USED);
const DESC_WORDS = 4;
/** The wrap counter in an `off_wrap`. */
const WRAP_BIT = 15;

/** A chain that a killed device left in flight. */
export interface LeftChain {
  readonly id: number;
  readonly slots: number;
  /** Its descriptors as the ring had them. */
  readonly desc: Uint32Array;
}

/** Writes down what the device has of one packed ring. */
export class PackedInflight {
  /** True when a device had this area before. */
  readonly recovered: boolean;
  /** The chains that it left in flight, oldest first. */
  readonly chains: readonly LeftChain[];
  /** The next descriptor to use, as an `off_wrap`. */
  readonly used: number;
  readonly #area: InflightArea;
  readonly #queue: number;
  readonly #size: number;
  readonly #words: Uint32Array;
  readonly #places: Float64Array;
  /** Both halves of a word of `#places`. */
  readonly #place = new Float64Array(1);
  readonly #placeWords = new Uint32Array(this.#place.buffer);
  /** Shadows of the area: links of all entries, the first free one, each chain's last entry by its first one. */
  readonly #next: Uint16Array;
  readonly #last: Uint16Array;
  #freeHead = 0;
  /** First entry of the chain in flight with this buffer id. */
  readonly #entries = new Uint16Array(0x1_0000);
  #counterLow = 0;
  #counterHigh = 0;

  /**
   * Recovers from the area, or makes it a new one.
   * @param used - where a new one starts, as an `off_wrap`
   * @param out - descriptors that the driver waits for, where the area is new: there must be none; below 0: `used` is none of
   * the ring, which the caller refuses, and the area stays as it is
   * @throws VirtqueueError ERR_VIRTQ_INFLIGHT
   */
  constructor(
    area: Uint8Array,
    config: { readonly index: number; readonly size: number },
    ring: PackedRing,
    used: number,
    out: number,
  ) {
    const { index, size } = config;
    this.#area = openInflightArea(area, true, index, size);
    this.#queue = index;
    this.#size = size;
    this.#words = this.#area.u32;
    const { u8 } = this.#area;
    this.#places = new Float64Array(u8.buffer, u8.byteOffset, u8.length / 8);
    this.#next = new Uint16Array(size);
    this.#last = new Uint16Array(size);
    this.recovered = !isNewArea(this.#area, QueueRegionPacked, index, size);
    if (this.recovered) {
      this.used = this.#settle(ring.desc);
      this.chains = this.#recover();
      return;
    }
    if (out > 0) throw inflightError(index, `a new area for a ring with ${out} descriptors out`);
    this.used = used;
    this.chains = [];
    if (out === 0) this.#begin();
  }

  /** The chain at `first` of the ring is the device's, from here on. */
  take(desc: Uint32Array, first: number, slots: number, id: number): void {
    const words = this.#words;
    const next = this.#next;
    const head = this.#freeHead;
    let entry = head;
    let last = head;
    let from = first << 2;
    for (let left = slots; left > 0; left--) {
      const at = ENTRIES + (entry << ENTRY_SHIFT);
      // Read a second time: what a driver changes meanwhile is checked anew, should these ever be read.
      words[at + ADDR] = desc[from]!;
      words[at + ADDR + 1] = desc[from + 1]!;
      words[at + LEN] = desc[from + 2]!;
      words[at + ID_FLAGS] = desc[from + 3]!;
      last = entry;
      entry = next[entry]!;
      from += DESC_WORDS;
      if (from === desc.length) from = 0;
    }
    const at = ENTRIES + (head << ENTRY_SHIFT);
    words[at + COUNTER] = this.#counterLow;
    words[at + COUNTER + 1] = this.#counterHigh;
    words[at + LAST_NUM] = last | (slots << 16);
    words[at + INFLIGHT_NEXT] = 1 | (next[head]! << 16);
    words[FREE_HEADS] = entry | (entry << 16);
    this.#last[head] = last;
    this.#freeHead = entry;
    this.#entries[id] = head;
    this.#counterLow = (this.#counterLow + 1) >>> 0;
    if (this.#counterLow === 0) this.#counterHigh = (this.#counterHigh + 1) >>> 0;
  }

  /** The used descriptor of this chain is about to be written, at `from`; the next one will be at `to` (as `off_wrap`). */
  completing(id: number, from: number, to: number): void {
    const words = this.#words;
    const head = this.#entries[id]!;
    const last = this.#last[head]!;
    const free = this.#freeHead;
    this.#next[last] = free;
    words[ENTRIES + (last << ENTRY_SHIFT) + INFLIGHT_NEXT] = (last === head ? 1 : 0) | (free << 16);
    words[FREE_HEADS] = head | (free << 16);
    this.#freeHead = head;
    if (((from ^ to) & (1 << WRAP_BIT)) !== 0) {
      words[USED_WRAPS] = ((to >>> WRAP_BIT) & 1) | (((from >>> WRAP_BIT) & 1) << 8);
    }
    words[USED_INDEXES] = (to & 0x7fff) | ((from & 0x7fff) << 16);
  }

  /** It was written. */
  completed(id: number, from: number, to: number): void {
    const words = this.#words;
    const head = this.#entries[id]!;
    words[ENTRIES + (head << ENTRY_SHIFT) + INFLIGHT_NEXT] = this.#next[head]! << 16;
    words[FREE_HEADS] = head | (head << 16);
    if (((from ^ to) & (1 << WRAP_BIT)) !== 0) this.#storeUsed(to);
    else words[USED_INDEXES] = (to & 0x7fff) * 0x1_0001;
  }

  /** The newest chain goes back to the ring. */
  untake(id: number): void {
    const words = this.#words;
    const head = this.#entries[id]!;
    const last = this.#last[head]!;
    this.#next[last] = this.#freeHead;
    words[ENTRIES + (last << ENTRY_SHIFT) + INFLIGHT_NEXT] = (last === head ? 1 : 0) | (this.#freeHead << 16);
    words[FREE_HEADS] = head | (head << 16);
    words[ENTRIES + (head << ENTRY_SHIFT) + INFLIGHT_NEXT] = this.#next[head]! << 16;
    this.#freeHead = head;
  }

  /** Old and new used place become this one, in one store. No number made so is a NaN: the upper 16 bits are padding. */
  #storeUsed(offWrap: number): void {
    this.#placeWords[0] = (offWrap & 0x7fff) * 0x1_0001;
    this.#placeWords[1] = ((offWrap >>> WRAP_BIT) & 1) * 0x0101;
    this.#places[USED_PLACE] = this.#place[0]!;
  }

  #begin(): void {
    const { view, u8 } = this.#area;
    u8.fill(0);
    for (let entry = 0; entry < this.#size; entry++) {
      this.#next[entry] = entry + 1;
      this.#words[ENTRIES + (entry << ENTRY_SHIFT) + INFLIGHT_NEXT] = (entry + 1) << 16;
    }
    this.#storeUsed(this.used);
    QueueRegionPacked.descNum.set(view, 0, this.#size);
    QueueRegionPacked.version.set(view, 0, INFLIGHT_VERSION);
  }

  /** Finishes, or takes back, a completion that was cut short. @returns the used place, as an `off_wrap` */
  #settle(desc: Uint32Array): number {
    const { view } = this.#area;
    const head = {
      free: QueueRegionPacked.freeHead.get(view, 0),
      oldFree: QueueRegionPacked.oldFreeHead.get(view, 0),
      used: QueueRegionPacked.usedIdx.get(view, 0),
      oldUsed: QueueRegionPacked.oldUsedIdx.get(view, 0),
      wrap: QueueRegionPacked.usedWrapCounter.get(view, 0),
      oldWrap: QueueRegionPacked.oldUsedWrapCounter.get(view, 0),
    };
    const { free, oldFree, used, oldUsed, wrap, oldWrap } = head;
    if (Math.max(used, oldUsed) >= this.#size || Math.max(wrap, oldWrap) > 1) {
      throw inflightError(this.#queue, `area with ${JSON.stringify(head)} for a ring of ${this.#size} entries`);
    }
    const open = used !== oldUsed || wrap !== oldWrap;
    const available = oldWrap === 1 ? 1 << VRING_PACKED_DESC_F_AVAIL : 1 << VRING_PACKED_DESC_F_USED;
    const published = open && ((desc[oldUsed * DESC_WORDS + 3]! >>> 16) & AVAIL_USED) !== available;
    this.#freeHead = published ? free : oldFree;
    return published ? used | (wrap << WRAP_BIT) : oldUsed | (oldWrap << WRAP_BIT);
  }

  /** Checks all links, copies what is in flight, and leaves the area as if nothing had been cut short. */
  #recover(): LeftChain[] {
    const size = this.#size;
    const { view } = this.#area;
    const at = (entry: number): number => QueueRegionPacked.byteLength + entry * DescStatePacked.byteLength;
    const seen = new Uint8Array(size);
    let visited = 0;
    const visit = (entry: number): number => {
      if (entry >= size || seen[entry] === 1) {
        throw inflightError(this.#queue, `entry ${entry} of ${size} is linked twice, or is none of the area`);
      }
      seen[entry] = 1;
      visited++;
      const next = DescStatePacked.next.get(view, at(entry));
      this.#next[entry] = next;
      return next;
    };
    for (let entry = this.#freeHead; entry !== size; ) entry = visit(entry);
    const free = seen.slice();
    const chains: (LeftChain & { counter: number })[] = [];
    const ids = new Set<number>();
    for (let head = 0; head < size; head++) {
      if (free[head] === 1 || DescStatePacked.inflight.get(view, at(head)) === 0) continue;
      const slots = DescStatePacked.num.get(view, at(head));
      const desc = new Uint32Array(Math.min(slots, size) * DESC_WORDS);
      let last = head;
      for (let n = 0, entry = head; n < slots; n++) {
        const next = visit(entry);
        const word = at(entry) >> 2;
        const idFlags = this.#words[word + ID_FLAGS]!;
        if ((((idFlags >>> 16) & VRING_DESC_F_NEXT) !== 0) !== n < slots - 1) {
          throw inflightError(this.#queue, `chain at entry ${head}: ${slots} descriptors, not linked as many`);
        }
        desc.set([this.#words[word + ADDR]!, this.#words[word + ADDR + 1]!, this.#words[word + LEN]!, idFlags], n * 4);
        last = entry;
        entry = next;
      }
      const id = desc.length === 0 ? -1 : desc.at(-1)! & 0xffff;
      if (id < 0 || ids.has(id))
        throw inflightError(this.#queue, `chain at entry ${head}: empty, or buffer id ${id} twice`);
      ids.add(id);
      this.#entries[id] = head;
      this.#last[head] = last;
      chains.push({ id, slots, desc, counter: DescStatePacked.counter.get(view, at(head)) });
    }
    if (visited !== size) throw inflightError(this.#queue, `${size - visited} entries neither free nor in flight`);
    this.#words[FREE_HEADS] = this.#freeHead | (this.#freeHead << 16);
    for (let entry = 0; entry < size; entry++) if (free[entry] === 1) DescStatePacked.inflight.set(view, at(entry), 0);
    this.#storeUsed(this.used);
    chains.sort((a, b) => a.counter - b.counter);
    const next = (chains.at(-1)?.counter ?? -1) + 1;
    // What no device counts up to: the order of the next recovery is lost to who wrote it, and nothing else.
    if (Number.isSafeInteger(next)) {
      this.#counterLow = next >>> 0;
      this.#counterHigh = Math.floor(next / 2 ** 32);
    }
    return chains;
  }
}
