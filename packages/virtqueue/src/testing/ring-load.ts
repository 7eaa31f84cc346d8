/** A ring that never runs dry, for benches: chains laid out once, made available again and again. */
import type { TestMemory } from '@oriel/guest-memory/testing';
import {
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_PACKED_EVENT_F_WRAP_CTR,
  VRING_PACKED_EVENT_FLAG_DESC,
} from '../layout.ts';
import type { QueueConfig } from '../queue.ts';
import { PackedTestRing } from './packed-test-ring.ts';
import { TestRing } from './test-ring.ts';

/** The buffers of each chain: a request with a header and arguments, an answer with a header and data. */
export const LOAD_BUFFERS = [
  { len: 40, writable: false },
  { len: 64, writable: false },
  { len: 16, writable: true },
  { len: 4096, writable: true },
] as const;

const COUNT = LOAD_BUFFERS.length;
const TABLE_BYTES = COUNT * 16;
/** Buffers begin this far apart; what does not fit lies over the next ones, which nobody reads. */
const STRIDE = 64;
const PAGE = 4096;

/** What kind of ring. */
export interface RingLoadOptions {
  readonly packed: boolean;
  readonly indirect: boolean;
  /** Entries, a power of two and a multiple of 4. */
  readonly size: number;
}

/** The driver of such a ring: writes no more than one must. */
export class RingLoad {
  /** What a queue made from `config` reported. */
  readonly errors: readonly Error[];
  /** Makes the next chains available, so many. */
  readonly offer: (count: number) => void;
  readonly #ring: TestRing | PackedTestRing;

  /** Lays the ring out at the start of `ram`. */
  constructor(ram: TestMemory, options: RingLoadOptions) {
    const { packed, size } = options;
    const ring = packed ? new PackedTestRing(ram, size) : new TestRing(ram, size);
    this.#ring = ring;
    this.errors = ring.errors;
    this.offer = ring instanceof TestRing ? splitLoad(ram, ring, options) : packedLoad(ram, ring, options);
  }

  /** Set-up of the device's queue. */
  config(overrides: Partial<QueueConfig> = {}): QueueConfig {
    return this.#ring.config({ eventIdx: true, ...overrides });
  }
}

/** The descriptors of chain `index`. */
function chainOf(data: number, index: number, linked: boolean) {
  return LOAD_BUFFERS.map(({ len, writable }, i) => ({
    addr: data + (index * COUNT + i) * STRIDE,
    len,
    flags: (writable ? VRING_DESC_F_WRITE : 0) | (linked && i < COUNT - 1 ? VRING_DESC_F_NEXT : 0),
  }));
}

function areas(ring: { readonly end: number; readonly size: number }): { tables: number; data: number } {
  const tables = Math.ceil(ring.end / PAGE) * PAGE;
  return { tables, data: tables + ring.size * TABLE_BYTES };
}

function splitLoad(ram: TestMemory, ring: TestRing, { indirect, size }: RingLoadOptions): (count: number) => void {
  const { tables, data } = areas(ring);
  for (let slot = 0; slot < size; slot++) {
    if (indirect) {
      ring.setTable(
        tables + slot * TABLE_BYTES,
        chainOf(data, slot, true).map((one, i) => ({ ...one, next: i + 1 })),
      );
      ring.setDesc(slot, { addr: tables + slot * TABLE_BYTES, len: TABLE_BYTES, flags: VRING_DESC_F_INDIRECT });
      ring.setHead(slot, slot);
      continue;
    }
    const first = (slot % (size / COUNT)) * COUNT;
    for (const [i, one] of chainOf(data, first / COUNT, true).entries()) {
      ring.setDesc(first + i, { ...one, next: first + i + 1 });
    }
    ring.setHead(slot, first);
  }
  const avail = new Uint16Array(ram.u8.buffer, ram.u8.byteOffset + ring.avail - ram.gpa, 2);
  let idx = 0;
  return (count) => {
    idx = (idx + count) & 0xffff;
    Atomics.store(avail, 1, idx);
  };
}

/** The device overwrites descriptors in a packed ring: the driver writes its chain's words anew, each time. */
function packedLoad(ram: TestMemory, ring: PackedTestRing, { indirect, size }: RingLoadOptions) {
  const { tables, data } = areas(ring);
  const slots = indirect ? 1 : COUNT;
  for (let first = 0; first < size; first += slots) {
    if (indirect) {
      ring.setTable(tables + first * TABLE_BYTES, chainOf(data, first, false));
      const table = { addr: tables + first * TABLE_BYTES, len: TABLE_BYTES };
      ring.offer({ ...table, flags: VRING_DESC_F_INDIRECT, id: first });
    } else {
      ring.offer(...chainOf(data, first / COUNT, true).map((one) => ({ ...one, id: first / COUNT })));
    }
  }
  ring.setDriverArea(1 << VRING_PACKED_EVENT_F_WRAP_CTR, VRING_PACKED_EVENT_FLAG_DESC);
  // What was offered is the pattern of the laps below; the first one begins now.
  const words = new Uint32Array(ram.u8.buffer, ram.u8.byteOffset + ring.desc - ram.gpa, size * 4);
  const lens = words.filter((_, at) => at % 4 === 2);
  const flags = words.filter((_, at) => at % 4 === 3);
  for (let slot = 0; slot < size; slot++) words[slot * 4 + 3] = 0;
  let next = 0;
  let lap = 0;
  return (count: number): void => {
    for (let left = count * slots; left > 0; left--) {
      words[next * 4 + 2] = lens[next]!;
      // AVAIL in one lap, USED in the next.
      words[next * 4 + 3] = lap === 0 ? flags[next]! : flags[next]! ^ 0x8080_0000;
      next++;
      if (next < size) continue;
      next = 0;
      lap ^= 1;
    }
  };
}
