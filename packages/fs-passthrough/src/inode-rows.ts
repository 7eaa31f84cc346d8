/**
 * What is known of each inode, apart from how it is reached: dense columns by slot, in memory of their own or in a journal, and
 * an index by the host's numbers. Nothing here asks the host.
 */
import { S_IFMT } from '@oriel/sys';
import { grown } from './columns.ts';
import type { Device, Devices } from './devices.ts';
import type { FileStatus } from './file-status.ts';
import { InodeIndex } from './inode-index.ts';
import { SlotIds } from './slot-ids.ts';
import { SlotTable } from './slot-table.ts';
import type { ShareJournal } from './survival/share-journal.ts';

/** In a type's word, where the device's record in the journal stands. */
const RECORD_SHIFT = 16;

/** The root's slot, and with it its nodeid. */
export const ROOT = 1;

/** What `find` answers for an inode that is not known: no inode has slot 0. */
export const UNKNOWN = 0;

/** The rows of the inode table. */
export class InodeRows extends SlotTable {
  protected readonly devices: Devices;
  protected readonly index = new InodeIndex();
  /** S_IF* bits; in a journal, the device's record above them. */
  protected types: Int32Array<ArrayBuffer> = new Int32Array(0);
  protected counts: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** inode number, low and high word of each slot. */
  protected inos: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** Numbers of devices; 0: nothing is known of the slot. In memory of this object, always. */
  protected deviceNumbers: Int32Array<ArrayBuffer> = new Int32Array(0);
  readonly #max: number;

  /** @param max - most inodes known at one time */
  constructor(devices: Devices, max: number) {
    super(new SlotIds(max));
    this.devices = devices;
    this.#max = max;
  }

  get full(): boolean {
    return this.ids.full;
  }

  nodeid(slot: number): number {
    return this.ids.idOf(slot);
  }

  /** S_IF* bits: the kind of file never changes. */
  type(slot: number): number {
    return this.types[slot]! & S_IFMT;
  }

  device(slot: number): Device {
    return this.devices.numbered(this.deviceNumbers[slot]!);
  }

  /** Lookups that the guest has not forgotten. */
  count(slot: number): number {
    return this.counts[slot]!;
  }

  /** Counts one lookup. */
  addLookup(slot: number): void {
    this.counts[slot]!++;
  }

  /** True when a status is of the very inode that a row tells of. */
  isOf(slot: number, status: FileStatus): boolean {
    const { major, minor, mount } = this.device(slot);
    const { inos } = this;
    return status.isFile(inos[2 * slot]!, inos[2 * slot + 1]!, major, minor, mount, this.type(slot));
  }

  /** Writes the row of an inode with no lookups yet; `reserve` has made room. */
  protected write(slot: number, device: Device, status: FileStatus): void {
    this.types[slot] = status.mode & S_IFMT;
    this.counts[slot] = 0;
    this.inos[2 * slot] = status.inoLo;
    this.inos[2 * slot + 1] = status.inoHi;
    this.deviceNumbers[slot] = device.number;
  }

  /** Which of a journal's devices an inode is on. */
  protected record(slot: number): number {
    return this.types[slot]! >>> RECORD_SHIFT;
  }

  /** Notes that in a row just written. */
  protected setRecord(slot: number, record: number): void {
    this.types[slot]! |= record << RECORD_SHIFT;
  }

  /** Makes room for every slot that there is an id for. */
  protected reserve(): void {
    const length = this.ids.capacity;
    if (this.types.length < length) {
      this.types = grown(this.types, length);
      this.counts = grown(this.counts, length);
      this.inos = grown(this.inos, 2 * length);
      this.#reserveOwn();
    }
  }

  /**
   * The columns stand in a journal from now on, or (null) in memory of their own: with the rows of the journal, of which none is
   * taken up, or none, and with a slot for the root.
   */
  protected useColumns(journal: ShareJournal | null): void {
    this.deviceNumbers = new Int32Array(0);
    this.index.clear();
    if (journal === null) {
      this.ids = new SlotIds(this.#max);
      this.types = new Int32Array(0);
      this.counts = new Float64Array(0);
      this.inos = new Uint32Array(0);
      this.ids.take();
      this.reserve();
    } else {
      this.ids = new SlotIds(this.#max, { ids: journal.inodeIds, mark: journal.inodeMark });
      this.types = journal.types;
      this.counts = journal.lookups;
      this.inos = journal.inos;
      this.#reserveOwn();
      if (!this.ids.isUsed(ROOT)) {
        this.ids.take();
      }
    }
  }

  /** The columns that stand in no journal. */
  #reserveOwn(): void {
    this.deviceNumbers = grown(this.deviceNumbers, this.ids.capacity);
    this.index.useColumns(this.inos, this.deviceNumbers);
  }
}
