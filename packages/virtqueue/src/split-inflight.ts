/**
 * The in-flight area of a split queue (vhost-user, "Inflight I/O tracking", split virtqueue). Why no kill loses or doubles a
 * request:
 * - A chain is in flight when its byte says so, which is stored before the device gets it. Without it the chain is still
 *   in the avail ring, since recovery goes on at used.idx + the chains in flight.
 * - A completion stores next and last_batch_head, then used.idx in the ring, then the byte, then used_idx. Killed before
 *   used.idx: the driver knows nothing, the chain is in flight. Killed behind it: used_idx differs from the ring's, which says
 *   that as many chains from last_batch_head on were returned, whatever their bytes say. Only then is used_idx stored.
 * - Chains that go back to the avail ring do so newest first, so that those in flight are always the oldest ones there.
 */

import { type InflightArea, inflightError, isNewArea, openInflightArea } from './inflight-area.ts';
import { DescStateSplit, INFLIGHT_VERSION, QueueRegionSplit } from './layout.ts';
import type { KeptChain } from './queue.ts';

// Indexes of fields in the words of each width, from the one description of the layout.
const ENTRIES = QueueRegionSplit.byteLength;
/** log2 of the bytes of an entry. */
const ENTRY_SHIFT = Math.log2(DescStateSplit.byteLength);
const INFLIGHT = DescStateSplit.inflight.offset;
const NEXT = DescStateSplit.next.offset;
const COUNTER = DescStateSplit.counter.offset;
const LAST_BATCH_HEAD = QueueRegionSplit.lastBatchHead.offset >> 1;
const USED_IDX = QueueRegionSplit.usedIdx.offset >> 1;

/** Writes down what the device has of one split ring. */
export class SplitInflight {
  /** True when a device had this area before. */
  readonly recovered: boolean;
  /** Heads of the chains that it left in flight, oldest first. */
  readonly heads: readonly number[];
  readonly #area: InflightArea;
  readonly #queue: number;
  readonly #size: number;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  #lastBatchHead = 0;
  #counterLow = 0;
  #counterHigh = 0;

  /**
   * Recovers from the area, or makes it a new one.
   * @param usedIdx - used.idx of the ring
   * @param out - chains that the driver waits for, where the area is new: all of them must be in `kept`
   * @throws VirtqueueError ERR_VIRTQ_INFLIGHT
   */
  constructor(
    area: Uint8Array,
    ring: { readonly index: number; readonly size: number },
    usedIdx: number,
    out: number,
    kept: readonly KeptChain[],
  ) {
    const { index, size } = ring;
    this.#area = openInflightArea(area, false, index, size);
    this.#queue = index;
    this.#size = size;
    this.#u8 = this.#area.u8;
    this.#u16 = this.#area.u16;
    this.#u32 = this.#area.u32;
    this.recovered = !isNewArea(this.#area, QueueRegionSplit, index, size);
    this.heads = this.recovered ? this.#recover(usedIdx) : this.#begin(usedIdx, out, kept);
  }

  /** The chain is the device's, from here on. */
  take(head: number): void {
    const at = ENTRIES + (head << ENTRY_SHIFT);
    const counter = (at + COUNTER) >> 2;
    this.#u32[counter] = this.#counterLow;
    this.#u32[counter + 1] = this.#counterHigh;
    this.#u8[at + INFLIGHT] = 1;
    this.#counterLow = (this.#counterLow + 1) >>> 0;
    if (this.#counterLow === 0) this.#counterHigh = (this.#counterHigh + 1) >>> 0;
  }

  /** Used.idx is about to be published, with this chain. */
  completing(head: number): void {
    this.#u16[(ENTRIES + (head << ENTRY_SHIFT) + NEXT) >> 1] = this.#lastBatchHead;
    this.#u16[LAST_BATCH_HEAD] = head;
    this.#lastBatchHead = head;
  }

  /** Used.idx was published. */
  completed(head: number, usedIdx: number): void {
    this.#u8[ENTRIES + (head << ENTRY_SHIFT) + INFLIGHT] = 0;
    this.#u16[USED_IDX] = usedIdx;
  }

  /** The newest chain goes back to the avail ring. */
  untake(head: number): void {
    this.#u8[ENTRIES + (head << ENTRY_SHIFT) + INFLIGHT] = 0;
  }

  #begin(usedIdx: number, out: number, kept: readonly KeptChain[]): number[] {
    if (kept.length !== out || new Set(kept.map(({ head }) => head)).size !== out) {
      throw inflightError(
        this.#queue,
        `a new area for a ring with ${out} chains out, of which ${kept.length} were kept`,
      );
    }
    const { view } = this.#area;
    this.#u8.fill(0);
    QueueRegionSplit.descNum.set(view, 0, this.#size);
    QueueRegionSplit.usedIdx.set(view, 0, usedIdx);
    for (const { head } of kept) {
      if (head >= this.#size)
        throw inflightError(this.#queue, `head ${head} was kept of a ring of ${this.#size} entries`);
      this.take(head);
    }
    QueueRegionSplit.version.set(view, 0, INFLIGHT_VERSION);
    return kept.map(({ head }) => head);
  }

  #recover(usedIdx: number): number[] {
    const { view } = this.#area;
    const entry = (head: number): number => ENTRIES + head * DescStateSplit.byteLength;
    const left = (head: number): boolean => DescStateSplit.inflight.get(view, entry(head)) !== 0;
    const all = Array.from({ length: this.#size }, (_, head) => head);
    const returned = (usedIdx - QueueRegionSplit.usedIdx.get(view, 0)) & 0xffff;
    let head = QueueRegionSplit.lastBatchHead.get(view, 0);
    this.#lastBatchHead = head < this.#size ? head : 0;
    // With nothing in flight there is nothing to compare: the ring may well be a new one.
    if (returned !== 0 && all.some(left)) {
      if (returned > this.#size) {
        throw inflightError(
          this.#queue,
          `used.idx is ${returned} ahead of the area's, in a ring of ${this.#size} entries`,
        );
      }
      for (let n = 0; n < returned; n++) {
        if (head >= this.#size) throw inflightError(this.#queue, `head ${head} in a ring of ${this.#size} entries`);
        const next = DescStateSplit.next.get(view, entry(head));
        DescStateSplit.inflight.set(view, entry(head), 0);
        head = next;
      }
    }
    QueueRegionSplit.usedIdx.set(view, 0, usedIdx);
    const counters = new Map(all.filter(left).map((one) => [one, DescStateSplit.counter.get(view, entry(one))]));
    const heads = [...counters.keys()].sort((a, b) => counters.get(a)! - counters.get(b)!);
    const next = heads.length === 0 ? 0 : counters.get(heads.at(-1)!)! + 1;
    // What no device counts up to: the order of the next recovery is lost to who wrote it, and nothing else.
    if (Number.isSafeInteger(next)) {
      this.#counterLow = next >>> 0;
      this.#counterHigh = Math.floor(next / 2 ** 32);
    }
    return heads;
  }
}
