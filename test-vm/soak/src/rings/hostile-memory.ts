/** Guest memory that a hostile driver and front-end share: regions of every kind that come and go, and a ring among them. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import type { Sys } from '@oriel/sys';
import { ringBytes, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '@oriel/virtqueue';
import type { Xorshift } from '../random.ts';

const PAGE = 4096;
export const RAM_GPA = 0x10_0000;
export const RAM_BYTES = 0x1_0000;
/** Where tables and buffers are mostly put: behind the rings. */
const DATA_AT = 0x6000;
const TABLE_ENTRIES = 24;

/** Where the parts of a ring lie in the RAM, bytes from its start. */
export interface RingPlace {
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
}

/** One memory, one ring in it. */
export class HostileMemory implements Disposable {
  readonly memory: GuestMemory;
  /** Holds the ring. */
  readonly ram: TestMemory;
  /** Regions that may be in the table or not: one touches the RAM, one may be truncated, one lies far away. */
  readonly others: readonly TestMemory[];
  readonly place: RingPlace;
  readonly #random: Xorshift;

  constructor(sys: Sys, random: Xorshift) {
    this.#random = random;
    this.memory = new GuestMemory(sys, { maxRegions: random.pick([4, 8, 509]) });
    this.ram = new TestMemory(sys, { size: RAM_BYTES, gpa: RAM_GPA });
    this.others = [
      new TestMemory(sys, { size: RAM_BYTES, gpa: RAM_GPA + RAM_BYTES }),
      new TestMemory(sys, { size: RAM_BYTES, gpa: RAM_GPA + 2 * RAM_BYTES, file: 'unsealed' }),
      new TestMemory(sys, { size: PAGE, gpa: 2 ** 45, userAddr: 2 ** 46 }),
    ];
    this.ram.addTo(this.memory);
    for (const one of this.others) if (!random.once(3)) one.addTo(this.memory);
    this.place = this.#ringPlace(2 ** random.from(0, 6));
  }

  /** Writes into the ring, or into what its descriptors may point at. */
  scribble(): void {
    const random = this.#random;
    const { size, desc, avail } = this.place;
    const { view } = this.ram;
    switch (random.below(10)) {
      case 0:
        random.fill(this.ram.u8.subarray(...this.#somewhere(random.from(1, 64))));
        break;
      case 1:
      case 2:
      case 3:
        this.#describe(desc + 16 * random.below(size), size);
        break;
      case 4:
      case 5:
        this.#describe(DATA_AT + 16 * random.below(TABLE_ENTRIES), TABLE_ENTRIES);
        break;
      case 6:
        view.setUint16(avail + 4 + 2 * random.below(size), random.below(random.once(8) ? 65536 : size), true);
        break;
      case 7:
        view.setUint16(avail, random.below(4), true);
        break;
      case 8:
        // used_event, or what stands there without EVENT_IDX.
        view.setUint16(avail + 4 + 2 * size, random.u32() & 0xffff, true);
        break;
      default:
        if (random.once(6)) this.availIdx = random.u32() & 0xffff;
    }
  }

  /** Makes a chain of its own at some head available, as an honest driver would, except for what it says. */
  offer(): void {
    const random = this.#random;
    const { size, avail } = this.place;
    const head = random.below(size);
    if (!random.once(4)) this.#honest(head);
    this.ram.view.setUint16(avail + 4 + 2 * (this.availIdx % size), head, true);
    this.availIdx = (this.availIdx + 1) & 0xffff;
  }

  get availIdx(): number {
    return this.ram.view.getUint16(this.place.avail + 2, true);
  }

  set availIdx(value: number) {
    this.ram.view.setUint16(this.place.avail + 2, value, true);
  }

  get usedIdx(): number {
    return this.ram.view.getUint16(this.place.used + 2, true);
  }

  /** True for a byte of the RAM that the device may write as a part of the ring. */
  isUsedRing(at: number): boolean {
    const { size, used } = this.place;
    return at >= used && at < used + ringBytes(size, true).used;
  }

  /** Changes the memory table. May throw what `GuestMemory` throws. @returns what was done */
  changeTable(): string {
    const random = this.#random;
    const one = random.pick([this.ram, ...this.others]);
    switch (random.below(6)) {
      case 0:
        this.memory.remove(one.gpa, one.userAddr, one.size);
        return 'remove';
      case 1:
        one.addTo(this.memory);
        return 'add';
      case 2:
        this.memory.replace(
          [this.ram, ...this.others].filter(() => !random.once(3)).map((region) => region.describe()),
        );
        return 'replace';
      case 3:
        // The same RAM again: its mapping stays.
        this.memory.replace([this.ram.describe()]);
        return 'replace';
      case 4:
        if (random.once(4)) this.memory.clear();
        return 'clear';
      default:
        this.others[1]!.truncate(random.pick([0, 100, PAGE, RAM_BYTES - 1, RAM_BYTES, RAM_BYTES]));
        return 'truncate';
    }
  }

  /** Everything back in its place. */
  restore(): void {
    this.others[1]!.truncate(RAM_BYTES);
    this.memory.replace([this.ram, ...this.others].map((region) => region.describe()));
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
    for (const one of [this.ram, ...this.others]) one[Symbol.dispose]();
  }

  #ringPlace(size: number): RingPlace {
    const random = this.#random;
    const bytes = ringBytes(size, true);
    // Each part in its own 8 KiB, at any place that its alignment allows.
    const at = (slot: number, len: number, align: number): number =>
      slot * 0x2000 + align * random.below(Math.floor((0x2000 - len) / align));
    return { size, desc: at(0, bytes.desc, 16), avail: at(1, bytes.avail, 2), used: at(2, bytes.used, 4) };
  }

  #somewhere(len: number): [number, number] {
    const random = this.#random;
    const { size, desc, avail, used } = this.place;
    const bytes = ringBytes(size, true);
    const [start, room] = random.pick([
      [desc, bytes.desc],
      [avail, bytes.avail],
      [used, bytes.used],
      [DATA_AT, 16 * TABLE_ENTRIES],
    ] as const);
    const at = start + random.below(room);
    return [at, Math.min(at + len, start + room)];
  }

  /** Mostly plausible, often at an edge, sometimes anything. */
  #describe(at: number, entries: number): void {
    const random = this.#random;
    const addr = random.weighted({ near: 8, table: 6, edge: 4, far: 1, anything: 1 });
    const gpa = {
      near: RAM_GPA + random.below(4 * RAM_BYTES),
      table: RAM_GPA + DATA_AT + (random.once(4) ? random.below(64) : 16 * random.below(TABLE_ENTRIES)),
      edge: RAM_GPA + random.pick([0, 1, 2, 3, 4]) * RAM_BYTES - random.below(80),
      far: 2 ** 45 + random.below(2 * PAGE),
      anything: random.u32() * 2 ** random.below(33),
    }[addr];
    const len = [
      random.below(200),
      16 * random.below(TABLE_ENTRIES + 2),
      0,
      0xffff_ffff - random.below(3),
      random.u32(),
    ];
    const flags = [random.below(8), random.below(4), VRING_DESC_F_NEXT, VRING_DESC_F_INDIRECT, random.below(65536)];
    this.#write(at, gpa, len[random.pick([0, 0, 0, 1, 1, 1, 2, 3, 4])]!, random.pick(flags), random.below(entries + 1));
  }

  /** One or two buffers in memory, or a table of them. */
  #honest(head: number): void {
    const random = this.#random;
    const { size, desc } = this.place;
    const data = RAM_GPA + DATA_AT + 0x1000;
    const second = random.below(size);
    const table = random.once(3);
    const at = table ? DATA_AT : desc + 16 * head;
    const next = table ? 1 : second;
    const two = table || second !== head;
    this.#write(at, data + random.below(0x1000), random.below(300), two ? VRING_DESC_F_NEXT : 0, next);
    if (two) {
      const nextAt = table ? DATA_AT + 16 : desc + 16 * second;
      this.#write(nextAt, data + 0x1000 + random.below(0x1000), random.below(300), VRING_DESC_F_WRITE, 0);
    }
    if (table) this.#write(desc + 16 * head, RAM_GPA + DATA_AT, 32, VRING_DESC_F_INDIRECT, 0);
  }

  #write(at: number, gpa: number, len: number, flags: number, next: number): void {
    const { view } = this.ram;
    view.setUint32(at, gpa % 2 ** 32, true);
    view.setUint32(at + 4, Math.floor(gpa / 2 ** 32) >>> 0, true);
    view.setUint32(at + 8, len, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, next, true);
  }
}
