/**
 * Several devices of one machine: each has a connection of its own, all see the same memory. As in QEMU, what is mapped in the
 * window of one becomes part of the memory table of all.
 */
import type { MemoryTable, TableDone, TableRegion } from './memory-table.ts';

/** A device of a machine. */
export interface Member {
  readonly table: MemoryTable;
  /** It was told of memory: later changes go to it, too. */
  readonly told: boolean;
  /** Leaves its back channel unread until the returned function is called. */
  hold(): () => void;
}

/** Which devices there are. */
export class Machine {
  readonly members: Member[] = [];
  /** What windows announced, with the copies that the other members have. */
  readonly #announced = new Map<TableRegion, Map<Member, TableRegion>>();

  /** Leaves all back channels unread until the returned function is called: QEMU has one thread for all devices. */
  hold(): () => void {
    const serve = this.members.map((member) => member.hold());
    return () => {
      for (const one of serve) one();
    };
  }

  /** A mapping in the window of `owner`. @param done - called once, when all members have answered */
  announce(owner: Member, region: TableRegion, done: TableDone): void {
    const copies = new Map<Member, TableRegion>();
    this.#announced.set(region, copies);
    const all = new Countdown(done);
    owner.table.add(region, all.one());
    for (const member of this.members) if (member !== owner && member.told) this.#tell(member, region, copies, all);
    all.go();
  }

  /** It is gone; as `announce`. */
  withdraw(owner: Member, region: TableRegion, done: TableDone): void {
    const copies = this.#announced.get(region);
    this.#announced.delete(region);
    const all = new Countdown(done);
    owner.table.remove(region, all.one());
    for (const [member, copy] of copies ?? []) member.table.remove(copy, this.#unlessGone(member, all.one()));
    all.go();
  }

  /** A member begins: it hears of what is mapped in the other windows. */
  join(member: Member, done: TableDone): void {
    const all = new Countdown(done);
    for (const [region, copies] of this.#announced) {
      const own = member.table.regions.includes(region);
      if (!own && !copies.has(member)) this.#tell(member, region, copies, all);
    }
    all.go();
  }

  /** A member ends. */
  leave(member: Member): void {
    this.members.splice(this.members.indexOf(member), 1);
    for (const [region, copies] of this.#announced) {
      copies.delete(member);
      if (member.table.regions.includes(region)) this.#announced.delete(region);
    }
  }

  #tell(member: Member, region: TableRegion, copies: Map<Member, TableRegion>, all: Countdown): void {
    const copy = { ...region, fd: region.fd.dup() };
    copies.set(member, copy);
    member.table.add(copy, this.#unlessGone(member, all.one()));
  }

  /** What a member leaves unanswered by its end is no refusal. */
  #unlessGone(member: Member, done: TableDone): TableDone {
    return (error) => done(this.members.includes(member) ? error : null);
  }
}

/** Calls back when all that was begun is over, with the first error. */
class Countdown {
  readonly #done: TableDone;
  #left = 1;
  #error: Error | null = null;

  constructor(done: TableDone) {
    this.#done = done;
  }

  one(): TableDone {
    this.#left++;
    return (error) => this.#over(error);
  }

  /** Nothing more begins. */
  go(): void {
    this.#over(null);
  }

  #over(error: Error | null): void {
    this.#error ??= error;
    this.#left--;
    if (this.#left === 0) this.#done(this.#error);
  }
}
