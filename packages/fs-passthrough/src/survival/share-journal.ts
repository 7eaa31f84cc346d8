/**
 * The journal of a share: the tables of inodes and handles themselves stand in it, as columns of fixed length, so that another
 * process finds them as they were at any moment. A row counts once its id stands in its column, which is written last; ids are
 * positive in use, negative for the next use, and zero before the first.
 */
import type { FilesystemJournal } from '@oriel/fuse';
import { HANDLE_WORDS } from '../file-handles.ts';

/** "OrPT" */
const MAGIC = 0x5450_724f;
const VERSION = 2;
const HEADER_BYTES = 64;
const DEVICE_WORDS = 4;
/** Mounts that a journal can tell of; inodes on further ones do not outlive the process. */
const MAX_DEVICES = 256;
const DEVICES_BYTES = MAX_DEVICES * DEVICE_WORDS * 4;
/** id, lookups, inode number, type and device, file handle. */
const INODE_BYTES = 8 + 8 + 8 + 4 + 4 * HANDLE_WORDS + 4;
/** id, nodeid, flags. */
const OPEN_BYTES = 8 + 8 + 4 + 4;
/** Inodes of a share with a journal; memory is taken only for those known. */
const MAX_INODES = 1 << 20;

const MAGIC_WORD = 0;
const VERSION_WORD = 1;
const INODES_WORD = 2;
const HANDLES_WORD = 3;
/** Slots ever used: marks of the tables. */
const INODE_MARK = 4;
const HANDLE_MARK = 5;
/** Four words: inode number and device of the shared directory. */
const ROOT_INO = 6;

/** What tells one directory of the host from another. */
export interface RootName {
  readonly inoLo: number;
  readonly inoHi: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

/** Sizes of the tables. */
export interface JournalSizes {
  readonly inodes: number;
  readonly handles: number;
}

/** Sizes for a share's limits. */
export function journalSizes(maxInodes: number, maxHandles: number, maxDirStreams: number): JournalSizes {
  return { inodes: Math.min(maxInodes, MAX_INODES), handles: maxHandles + maxDirStreams };
}

/** Bytes of a journal. */
export function shareJournalBytes({ inodes, handles }: JournalSizes): number {
  return HEADER_BYTES + DEVICES_BYTES + (inodes + 1) * INODE_BYTES + (handles + 1) * OPEN_BYTES;
}

/** The columns of one journal. Slot 0 of each is unused. */
export class ShareJournal {
  readonly store: FilesystemJournal['store'];
  readonly sizes: JournalSizes;
  readonly inodeIds: Float64Array<ArrayBuffer>;
  readonly lookups: Float64Array<ArrayBuffer>;
  readonly inos: Uint32Array<ArrayBuffer>;
  /** S_IF* bits, and the device's record in the upper 16. */
  readonly types: Int32Array<ArrayBuffer>;
  readonly fileHandles: Uint32Array<ArrayBuffer>;
  readonly openIds: Float64Array<ArrayBuffer>;
  readonly openNodeids: Float64Array<ArrayBuffer>;
  /** O_*, as of the open. */
  readonly openFlags: Int32Array<ArrayBuffer>;
  /** One element each: slots ever used. */
  readonly inodeMark: Int32Array<ArrayBuffer>;
  readonly openMark: Int32Array<ArrayBuffer>;
  /** Inode number of the shared directory, then its device. */
  readonly #root: Uint32Array<ArrayBuffer>;
  readonly #header: Int32Array<ArrayBuffer>;
  /** Each: 1 + major, minor, mount, unused; 0 first: free. */
  readonly #devices: Uint32Array<ArrayBuffer>;

  constructor(journal: FilesystemJournal, sizes: JournalSizes) {
    this.store = journal.store;
    this.sizes = sizes;
    const buffer = journal.bytes.buffer as ArrayBuffer;
    let at = journal.bytes.byteOffset;
    const column = (bytes: number): number => {
      const start = at;
      at += bytes;
      return start;
    };
    const rows = sizes.inodes + 1;
    const opens = sizes.handles + 1;
    const header = column(HEADER_BYTES);
    this.#header = new Int32Array(buffer, header, HEADER_BYTES / 4);
    this.inodeMark = new Int32Array(buffer, header + INODE_MARK * 4, 1);
    this.openMark = new Int32Array(buffer, header + HANDLE_MARK * 4, 1);
    this.#root = new Uint32Array(buffer, header + ROOT_INO * 4, 4);
    this.#devices = new Uint32Array(buffer, column(DEVICES_BYTES), MAX_DEVICES * DEVICE_WORDS);
    this.inodeIds = new Float64Array(buffer, column(rows * 8), rows);
    this.lookups = new Float64Array(buffer, column(rows * 8), rows);
    this.inos = new Uint32Array(buffer, column(rows * 8), rows * 2);
    this.openIds = new Float64Array(buffer, column(opens * 8), opens);
    this.openNodeids = new Float64Array(buffer, column(opens * 8), opens);
    this.fileHandles = new Uint32Array(buffer, column(rows * HANDLE_WORDS * 4), rows * HANDLE_WORDS);
    this.types = new Int32Array(buffer, column(rows * 4), rows);
    this.openFlags = new Int32Array(buffer, column(opens * 4), opens);
  }

  /** A share of these sizes wrote it. */
  get written(): boolean {
    const header = this.#header;
    const { inodes, handles } = this.sizes;
    return (
      header[MAGIC_WORD] === MAGIC &&
      header[VERSION_WORD] === VERSION &&
      header[INODES_WORD] === inodes &&
      header[HANDLES_WORD] === handles
    );
  }

  /** Nobody wrote it. */
  get empty(): boolean {
    return this.#header[MAGIC_WORD] === 0;
  }

  /** It tells of that shared directory. */
  isOf({ inoLo, inoHi, devMajor, devMinor }: RootName): boolean {
    const root = this.#root;
    return root[0] === inoLo && root[1] === inoHi && root[2] === devMajor && root[3] === devMinor;
  }

  /** Says of what sizes and of which directory it is; written last at the opening. */
  sign({ inoLo, inoHi, devMajor, devMinor }: RootName): void {
    const header = this.#header;
    this.#root.set([inoLo, inoHi, devMajor, devMinor]);
    header[VERSION_WORD] = VERSION;
    header[INODES_WORD] = this.sizes.inodes;
    header[HANDLES_WORD] = this.sizes.handles;
    Atomics.store(header, MAGIC_WORD, MAGIC);
  }

  /** The record of a mount, a new one at need. @returns its number, from 1 on, or 0 when there is none left */
  addDevice(major: number, minor: number, mount: number): number {
    let free = 0;
    for (let record = 1; record < MAX_DEVICES; record++) {
      const known = this.device(record);
      if (known === null) free ||= record;
      else if (known.major === major && known.minor === minor && known.mount === mount) return record;
    }
    if (free > 0) {
      const at = free * DEVICE_WORDS;
      this.#devices[at + 1] = minor;
      this.#devices[at + 2] = mount;
      Atomics.store(this.#devices, at, major + 1);
    }
    return free;
  }

  removeDevice(record: number): void {
    Atomics.store(this.#devices, record * DEVICE_WORDS, 0);
  }

  /** What a record says, or null for a free one. */
  device(record: number): { readonly major: number; readonly minor: number; readonly mount: number } | null {
    const at = record * DEVICE_WORDS;
    const major = this.#devices[at];
    return major === undefined || major === 0
      ? null
      : { major: major - 1, minor: this.#devices[at + 1]!, mount: this.#devices[at + 2]! };
  }

  /** Records from 1 on to this one, excluded. */
  get deviceEnd(): number {
    return MAX_DEVICES;
  }
}

/** Under which name a mount's descriptor is kept. */
export const mountName = (record: number): string => `mount-${record}`;
