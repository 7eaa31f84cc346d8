/** The memory table of one guest: which regions there are, and where an address lies. */
import type { Fd, Sys } from '@oriel/sys';
import { checkExtent, checkTable } from './check.ts';
import { GuestMemoryError } from './errors.ts';
import { type FileFacts, fileFacts } from './file-facts.ts';
import { MappedRegion } from './mapped-region.ts';
import type { MemoryRegion, RegionDescription, RegionFile } from './region.ts';

/** Settings of a `GuestMemory`. */
export interface GuestMemoryOptions {
  /** Slots: the most regions at a time. Default 509, what front-ends expect of GET_MAX_MEM_SLOTS. */
  readonly maxRegions?: number;
  /**
   * Given, for regions that left the table, the function that unmaps them: to be called when no system call uses their
   * addresses any more. Default: it is called at once.
   */
  readonly release?: (unmap: () => void) => void;
  /**
   * Asked of each announced region: whether its memory is needed. For one that is not, the descriptor is closed at once, and
   * the region stands in the table as `foreign`. Front-ends announce more than guest RAM: also what other devices put into
   * their windows. Default: all are needed.
   */
  readonly needs?: (file: RegionFile) => boolean;
}

/** Slots of a `GuestMemory` unless told otherwise. */
export const DEFAULT_MAX_REGIONS = 509;

/** The regions of one guest (vhost-user "Memory regions description"); owns their files and mappings. */
export class GuestMemory implements Disposable {
  /** Slots: what GET_MAX_MEM_SLOTS answers. */
  readonly maxRegions: number;
  readonly #sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly #release: (unmap: () => void) => void;
  readonly #needs: (file: RegionFile) => boolean;
  #byGpa: readonly MappedRegion[] = [];
  #byUser: readonly MappedRegion[] = [];
  #last: MappedRegion | null = null;
  #generation = 0;
  #pins = 0;
  #retired: MappedRegion[] = [];

  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: GuestMemoryOptions = {}) {
    this.#sys = sys;
    this.#release = options.release ?? ((unmap) => unmap());
    this.#needs = options.needs ?? (() => true);
    this.maxRegions = options.maxRegions ?? DEFAULT_MAX_REGIONS;
    if (!Number.isInteger(this.maxRegions) || this.maxRegions < 1) {
      throw new RangeError(`maxRegions ${this.maxRegions}, want a whole number from 1`);
    }
  }

  /** Grows by one at every change; holders of addresses re-resolve when it differs. */
  get generation(): number {
    return this.#generation;
  }

  /** The regions by rising guest physical address; a new array after every change. */
  get regions(): readonly MemoryRegion[] {
    return this.#byGpa;
  }

  /**
   * SET_MEM_TABLE: replaces all regions. Those equal in gpa, size, userAddr, offset and file keep their mapping.
   * @param descriptions - their descriptors are given away, also when the call throws
   * @throws GuestMemoryError ERR_MEM_COUNT, ERR_MEM_RANGE, ERR_MEM_OVERLAP, ERR_MEM_FILE; the old table then stays
   */
  replace(descriptions: readonly RegionDescription[]): void {
    const fresh: MappedRegion[] = [];
    const unused: Fd[] = [];
    const next: MappedRegion[] = [];
    try {
      for (const description of descriptions) checkExtent(description);
      checkTable(descriptions, this.maxRegions);
      for (const description of descriptions) {
        const facts = fileFacts(this.#sys, description);
        const needed = this.#needs(facts);
        const kept = this.#equalRegion(description, facts, needed);
        if (kept !== null) {
          unused.push(description.fd);
          next.push(kept);
        } else {
          const region = this.#map(description, facts, needed);
          fresh.push(region);
          next.push(region);
        }
      }
    } catch (error) {
      for (const region of fresh) region[Symbol.dispose]();
      for (const description of descriptions) description.fd.close();
      throw error;
    }
    for (const fd of unused) fd.close();
    this.#install(next);
  }

  /**
   * ADD_MEM_REG.
   * @throws GuestMemoryError ERR_MEM_COUNT, ERR_MEM_RANGE, ERR_MEM_OVERLAP, ERR_MEM_FILE; the table is unchanged
   */
  add(description: RegionDescription): MemoryRegion {
    try {
      checkExtent(description);
      checkTable([...this.#byGpa, description], this.maxRegions);
      const facts = fileFacts(this.#sys, description);
      const region = this.#map(description, facts, this.#needs(facts));
      this.#install([...this.#byGpa, region]);
      return region;
    } catch (error) {
      description.fd.close();
      throw error;
    }
  }

  /** REM_MEM_REG. @throws GuestMemoryError ERR_MEM_UNKNOWN unless one region equals all three numbers */
  remove(gpa: number, userAddr: number, size: number): void {
    const region = this.#byGpa.find((r) => r.gpa === gpa && r.userAddr === userAddr && r.size === size);
    if (region === undefined) {
      throw new GuestMemoryError(
        'ERR_MEM_UNKNOWN',
        `no region with gpa ${gpa}, user address ${userAddr}, size ${size}`,
      );
    }
    this.#install(this.#byGpa.filter((r) => r !== region));
  }

  /** The region that holds guest physical address `gpa`, or null. A compare for the last hit, else a binary search. */
  find(gpa: number): MemoryRegion | null {
    const last = this.#last;
    if (last !== null && gpa >= last.gpa && gpa - last.gpa < last.size) return last;
    return this.#search(gpa);
  }

  /** The region that wholly holds user addresses [userAddr, userAddr + len), or null. */
  findUser(userAddr: number, len: number): MemoryRegion | null {
    const region = lastNotAbove(this.#byUser, 'userAddr', userAddr);
    return region !== null && userAddr - region.userAddr + len <= region.size ? region : null;
  }

  /** Pins the current mappings (an offloaded call uses their addresses): a region removed meanwhile is unmapped only
   * after the last `unpin`. */
  pin(): void {
    this.#pins++;
  }

  /** @throws RangeError when nothing is pinned */
  unpin(): void {
    if (this.#pins === 0) throw new RangeError('unpin without pin');
    this.#pins--;
    if (this.#pins === 0) this.#disposeRetired();
  }

  /** Removes all regions. */
  clear(): void {
    this.#install([]);
  }

  /** As `clear`: what is pinned goes with the last `unpin`. */
  [Symbol.dispose](): void {
    this.clear();
  }

  #search(gpa: number): MappedRegion | null {
    const region = lastNotAbove(this.#byGpa, 'gpa', gpa);
    if (region === null || gpa - region.gpa >= region.size) return null;
    this.#last = region;
    return region;
  }

  #equalRegion(description: RegionDescription, facts: FileFacts, needed: boolean): MappedRegion | null {
    const region = lastNotAbove(this.#byGpa, 'gpa', description.gpa);
    const equal =
      region !== null &&
      region.gpa === description.gpa &&
      region.size === description.size &&
      region.userAddr === description.userAddr &&
      region.mmapOffset === description.mmapOffset &&
      region.sealed === facts.sealed &&
      region.foreign === !needed &&
      region.dev === facts.dev &&
      region.ino === facts.ino;
    return equal ? region : null;
  }

  #map(description: RegionDescription, facts: FileFacts, needed: boolean): MappedRegion {
    try {
      return new MappedRegion(this.#sys, description, facts, needed);
    } catch (cause) {
      throw new GuestMemoryError('ERR_MEM_FILE', `the region at gpa ${description.gpa} cannot be mapped`, { cause });
    }
  }

  #install(next: readonly MappedRegion[]): void {
    const stay = new Set(next);
    const gone = this.#byGpa.filter((region) => !stay.has(region));
    this.#byGpa = next.toSorted((a, b) => a.gpa - b.gpa);
    this.#byUser = next.toSorted((a, b) => a.userAddr - b.userAddr);
    this.#last = null;
    this.#generation++;
    for (const region of gone) region.retire();
    this.#retired.push(...gone);
    if (this.#pins === 0) this.#disposeRetired();
  }

  #disposeRetired(): void {
    if (this.#retired.length === 0) return;
    const retired = this.#retired;
    this.#retired = [];
    this.#release(() => {
      for (const region of retired) region[Symbol.dispose]();
    });
  }
}

/** The last of `regions` (sorted by `key`) that starts at or below `address`. */
function lastNotAbove(regions: readonly MappedRegion[], key: 'gpa' | 'userAddr', address: number): MappedRegion | null {
  let low = 0;
  let high = regions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (regions[middle]![key] <= address) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : regions[low - 1]!;
}
