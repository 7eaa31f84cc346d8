/** Directory records on their way to the driver: `struct fuse_dirent` and `struct fuse_direntplus`. */
import type { DirSink } from './dir-sink.ts';
import { ENTRY_WORDS, putEntry } from './encode.ts';
import type { Entry } from './entry.ts';
import { takeU64 } from './fields.ts';
import { FuseDirent, FuseDirentplus } from './layout.ts';
import type { RecordBuffer } from './record-buffers.ts';
import type { ServeContext } from './serve-context.ts';

const DIRENT = FuseDirent.byteLength;
const DIRENTPLUS = FuseDirentplus.byteLength;
const NAMELEN_WORD = FuseDirent.namelen.offset / 4;
const DOT = 0x2e;

/** The sink of one READDIR or READDIRPLUS. */
export class DirRecords implements DirSink {
  u8: Uint8Array = new Uint8Array(0);
  #u32: Uint32Array = new Uint32Array(0);
  /** Index in `u8` of the first record, of the next one, and behind the last. A multiple of 8 all. */
  start = 0;
  #at = 0;
  #end = 0;
  #plus = false;
  readonly #context: ServeContext;
  /** What `u8` belongs to, or null where it is the operation's own memory. */
  buffer: RecordBuffer | null = null;

  constructor(context: ServeContext) {
    this.#context = context;
  }

  /** Starts a reply of at most `len` bytes at byte `start` of `u8`, over which `u32` lies. */
  begin(u8: Uint8Array, u32: Uint32Array, start: number, len: number, plus: boolean): void {
    this.u8 = u8;
    this.#u32 = u32;
    this.start = start;
    this.#at = start;
    this.#end = start + len;
    this.#plus = plus;
  }

  get room(): number {
    return this.#end - this.#at;
  }

  /** Bytes of the records. */
  get used(): number {
    return this.#at - this.start;
  }

  need(nameLen: number): number {
    return ((this.#plus ? DIRENTPLUS : DIRENT) + nameLen + 7) & ~7;
  }

  add(
    name: Uint8Array,
    nameOffset: number,
    nameLen: number,
    inoLo: number,
    inoHi: number,
    cookieLo: number,
    cookieHi: number,
    type: number,
    entry: Entry | null,
  ): boolean {
    const need = this.need(nameLen);
    if (need > this.#end - this.#at) {
      return false;
    }
    const words = this.#u32;
    let word = this.#at / 4;
    if (this.#plus) {
      if (entry !== null && this.#keeps(entry, isDots(name, nameOffset, nameLen))) {
        putEntry(words, word, entry);
      } else {
        words.fill(0, word, word + ENTRY_WORDS);
      }
      word += ENTRY_WORDS;
    }
    words[word] = inoLo;
    words[word + 1] = inoHi;
    words[word + 2] = cookieLo;
    words[word + 3] = cookieHi;
    words[word + NAMELEN_WORD] = nameLen;
    words[word + NAMELEN_WORD + 1] = type;
    const next = this.#at + need;
    // The padding, and whatever an older reply left in the last two words.
    words[next / 4 - 1] = 0;
    if (nameLen % 8 < 4) {
      words[next / 4 - 2] = 0;
    }
    const u8 = this.u8;
    let to = word * 4 + DIRENT;
    for (let index = 0; index < nameLen; index++) {
      u8[to++] = name[nameOffset + index]!;
    }
    this.#at = next;
    return true;
  }

  /** Takes back the lookup counts of all records: the driver will not see them. */
  undo(): void {
    if (!this.#plus) {
      return;
    }
    for (let at = this.start; at < this.#at; ) {
      const word = at / 4;
      const nodeid = takeU64(this.#u32, word);
      const nameLen = this.#u32[word + ENTRY_WORDS + NAMELEN_WORD]!;
      if (nodeid !== 0) {
        this.#context.forget(nodeid, 1, null);
      }
      at += this.need(nameLen);
    }
    this.#at = this.start;
  }

  /** False: the record goes without attributes, and its count is taken back, since the driver will not count it. */
  #keeps(entry: Entry, dots: boolean): boolean {
    if (entry.nodeid === 0) {
      return false;
    }
    const hooks = this.#context.hooks;
    if (!dots && (hooks.attributes === undefined || hooks.attributes(entry.nodeid, entry.attr, true))) {
      return true;
    }
    this.#context.forget(entry.nodeid, 1, null);
    return false;
  }
}

/** True for "." and "..", whose READDIRPLUS records the driver never counts as lookups. */
function isDots(name: Uint8Array, at: number, len: number): boolean {
  return name[at] === DOT && (len === 1 || (len === 2 && name[at + 1] === DOT));
}
