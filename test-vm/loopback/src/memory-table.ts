/** What the back-end is told of guest memory: RAM, and every mapping of the window, as QEMU does. */
import type { Fd } from '@oriel/sys';
import type { FrontendConnection } from '@oriel/vhost-user';

/** One region of the table. */
export interface TableRegion {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
  /** Owned by the table from `add` to `remove`. */
  readonly fd: Fd;
}

/** The parts of a connection that a table needs. */
export type TableConnection = Pick<FrontendConnection, 'setMemoryTable' | 'addMemoryRegion' | 'removeMemoryRegion'>;

/** VHOST_MEMORY_BASELINE_NREGIONS: what one SET_MEM_TABLE can hold. QEMU sends no table at all when there are more. */
const MAX_WHOLE_TABLE = 8;

/** Told when the back-end has answered. */
export type TableDone = (error: Error | null) => void;

/**
 * The memory table of one connection. With memory slots each change is one message; without them every change sends the
 * whole table, which holds eight regions at most.
 */
export class MemoryTable implements Disposable {
  readonly #connection: TableConnection;
  readonly #slots: boolean;
  readonly #regions: TableRegion[] = [];

  /** @param slots - CONFIGURE_MEM_SLOTS was agreed */
  constructor(connection: TableConnection, slots: boolean) {
    this.#connection = connection;
    this.#slots = slots;
  }

  /** Regions as the back-end was told, in order of their announcement. */
  get regions(): readonly TableRegion[] {
    return this.#regions;
  }

  add(region: TableRegion, done: TableDone): void {
    this.#regions.push(region);
    if (this.#slots) this.#connection.addMemoryRegion({ ...region, fd: region.fd.fd }, done);
    else this.#sendAll(done);
  }

  remove(region: TableRegion, done: TableDone): void {
    this.#regions.splice(this.#regions.indexOf(region), 1);
    const { gpa, size, userAddr } = region;
    region.fd.close();
    if (this.#slots) this.#connection.removeMemoryRegion({ gpa, size, userAddr }, done);
    else this.#sendAll(done);
  }

  /** Closes the descriptors of all regions; the back-end is told nothing. */
  [Symbol.dispose](): void {
    for (const { fd } of this.#regions.splice(0)) fd.close();
  }

  #sendAll(done: TableDone): void {
    if (this.#regions.length > MAX_WHOLE_TABLE) {
      done(null);
      return;
    }
    this.#connection.setMemoryTable(
      this.#regions.map((region) => ({ ...region, fd: region.fd.fd })),
      done,
    );
  }
}

/** The same connection, whose back channel is not served from each update to its acknowledgement, as in QEMU. */
export function holding(connection: TableConnection, hold: () => () => void): TableConnection {
  const held = (done: TableDone): TableDone => {
    const serveAgain = hold();
    return (error) => {
      serveAgain();
      done(error);
    };
  };
  return {
    setMemoryTable: (regions, done) => connection.setMemoryTable(regions, held(done)),
    addMemoryRegion: (region, done) => connection.addMemoryRegion(region, held(done)),
    removeMemoryRegion: (region, done) => connection.removeMemoryRegion(region, held(done)),
  };
}
