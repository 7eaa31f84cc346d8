/** A buffer of directory records, as getdents64 writes them, and a place in it. */
import { type Address, LinuxDirent64, Mapping, type SysMem } from '@oriel/sys';

const BUFFER_LEN = 32_768;
/** Nobody's. */
export const NOBODY = -1;
/** u32 words of a record's head. */
const INO = LinuxDirent64.dIno.offset / 4;
const OFF = LinuxDirent64.dOff.offset / 4;
/** d_reclen in the low half, d_type in the third byte. */
const RECLEN_TYPE = LinuxDirent64.dReclen.offset / 4;
const NAME_AT = LinuxDirent64.dType.offset + 1;

/** Records of one getdents64, and where a stream stands in them. */
export class DirBuffer implements Disposable {
  readonly #mapping: Mapping;
  readonly #words: Uint32Array;
  readonly bytes: Uint8Array;
  /** Slot of the handle that reads here, or NOBODY. */
  owner = NOBODY;
  /** Cookie of the record at `#at`: what the driver asks for next. */
  cookieLo = 0;
  cookieHi = 0;
  #at = 0;
  #end = 0;

  /** @throws SysError ENOMEM */
  constructor(mem: SysMem) {
    this.#mapping = Mapping.anonymous(mem, BUFFER_LEN);
    this.bytes = this.#mapping.u8;
    this.#words = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, BUFFER_LEN / 4);
  }

  get addr(): Address {
    return this.#mapping.addr;
  }

  get len(): number {
    return BUFFER_LEN;
  }

  /** No record is left. */
  get empty(): boolean {
    return this.#at >= this.#end;
  }

  /** Starts on `len` bytes of fresh records, the first at the cookie at which the stream stands. */
  refill(len: number): void {
    this.#at = 0;
    this.#end = len;
  }

  /** Goes to another cookie, with no records. */
  reset(owner: number, cookieLo: number, cookieHi: number): void {
    this.owner = owner;
    this.cookieLo = cookieLo;
    this.cookieHi = cookieHi;
    this.#at = 0;
    this.#end = 0;
  }

  get inoLo(): number {
    return this.#words[(this.#at >>> 2) + INO]!;
  }

  get inoHi(): number {
    return this.#words[(this.#at >>> 2) + INO + 1]!;
  }

  /** Cookie of the record after this one. */
  get nextLo(): number {
    return this.#words[(this.#at >>> 2) + OFF]!;
  }

  get nextHi(): number {
    return this.#words[(this.#at >>> 2) + OFF + 1]!;
  }

  /** DT_*. */
  get type(): number {
    return (this.#words[(this.#at >>> 2) + RECLEN_TYPE]! >>> 16) & 0xff;
  }

  /** Where the name begins in `bytes`. */
  get nameAt(): number {
    return this.#at + NAME_AT;
  }

  get nameAddr(): Address {
    return this.#mapping.addr + this.#at + NAME_AT;
  }

  /** Bytes of the name, without its NUL. */
  get nameLen(): number {
    const { bytes } = this;
    const from = this.#at + NAME_AT;
    let end = from;
    while (bytes[end] !== 0) {
      end++;
    }
    return end - from;
  }

  /** Goes on behind this record. */
  next(): void {
    const word = this.#at >>> 2;
    this.cookieLo = this.#words[word + OFF]!;
    this.cookieHi = this.#words[word + OFF + 1]!;
    this.#at += this.#words[word + RECLEN_TYPE]! & 0xffff;
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
