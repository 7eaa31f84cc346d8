/**
 * The journal of a session: what another process needs to go on with it. It holds what INIT agreed, a record of each request
 * in flight, and what the Filesystem writes.
 */
import type { Fd } from '@oriel/sys';
import type { FuseMessage } from '../message.ts';
import { HEADER_WORD, type OperationRecord } from '../operation-record.ts';
import { INTENT_WORDS, Intent } from './intent.ts';

/** Open files that outlive the process, by name; `StateMemory` of @oriel/virtio-device is one. */
export interface DescriptorStore {
  /** @param fd - stays the caller's @returns false when it is not kept */
  keep(name: string, fd: Fd): boolean;
  forget(name: string): void;
  /** A descriptor of its own; null: nothing is kept under the name. */
  take(name: string): Fd | null;
}

/** A Filesystem's part of the journal. */
export interface FilesystemJournal {
  /** `Filesystem.journalBytes` of them, 8-aligned: zeros, or what an earlier process wrote. */
  readonly bytes: Uint8Array;
  readonly store: DescriptorStore;
}

/** Where a session keeps its journal. */
export interface JournalOptions {
  /** `journalBytes()` of them, 8-aligned, shared with whoever keeps them: zeros, or what an earlier process wrote. */
  readonly bytes: Uint8Array;
  readonly store: DescriptorStore;
  /** Messages in flight at most; each has a place from 0 on. */
  readonly places: number;
  /** The place of a message, the same in a process that takes it up again; one that is no place gives it no record. */
  readonly placeOf: (message: FuseMessage) => number;
  /** A process that ended had taken the message. */
  readonly again: (message: FuseMessage) => boolean;
}

/** "OrFJ" */
const MAGIC = 0x4a46_724f;
const VERSION = 1;
const HEADER_BYTES = 256;
const MAGIC_WORD = 0;
const VERSION_WORD = 1;
/** 1 while a session is initialised; written last. */
const LIVE_WORD = 2;
const INIT_LEN_WORD = 3;
const INIT_AT = 64;
const INIT_MAX = HEADER_BYTES - INIT_AT;
const ALIGN = 64;

const intentBytes = (places: number): number => Math.ceil((places * INTENT_WORDS * 4) / ALIGN) * ALIGN;

/** Bytes of a journal. @param filesystem - `Filesystem.journalBytes` */
export function journalBytes(places: number, filesystem: number): number {
  return HEADER_BYTES + intentBytes(places) + filesystem;
}

/** One session's journal. */
export class SessionJournal {
  readonly filesystem: FilesystemJournal;
  readonly #options: JournalOptions;
  readonly #header: Int32Array;
  readonly #init: Uint8Array;
  readonly #intents: Uint32Array;

  constructor(options: JournalOptions) {
    const { bytes, store, places } = options;
    const { buffer, byteOffset } = bytes;
    this.#options = options;
    this.#header = new Int32Array(buffer, byteOffset, INIT_AT / 4);
    this.#init = bytes.subarray(INIT_AT, HEADER_BYTES);
    this.#intents = new Uint32Array(buffer, byteOffset + HEADER_BYTES, places * INTENT_WORDS);
    this.filesystem = { bytes: bytes.subarray(HEADER_BYTES + intentBytes(places)), store };
  }

  /** A session that was initialised is written here, by a program that writes as this one reads. */
  get live(): boolean {
    const header = this.#header;
    return header[MAGIC_WORD] === MAGIC && header[VERSION_WORD] === VERSION && header[LIVE_WORD] === 1;
  }

  /** The request of INIT behind its header; copied. */
  get init(): Uint8Array {
    const len = this.#header[INIT_LEN_WORD]!;
    return this.#init.slice(0, len >= 0 && len <= INIT_MAX ? len : 0);
  }

  /** A session begins. @param init - the request behind its header; more than 192 bytes are cut: nothing reads them */
  begin(init: Uint8Array): void {
    const len = Math.min(init.length, INIT_MAX);
    this.#init.set(init.subarray(0, len));
    this.#header[INIT_LEN_WORD] = len;
    this.#header[VERSION_WORD] = VERSION;
    this.#header[MAGIC_WORD] = MAGIC;
    Atomics.store(this.#header, LIVE_WORD, 1);
  }

  /** The session ended. */
  end(): void {
    Atomics.store(this.#header, LIVE_WORD, 0);
  }

  /** Gives an operation its record, if there is one for it. */
  enter(op: OperationRecord, message: FuseMessage): void {
    const { placeOf, places, again } = this.#options;
    const place = placeOf(message);
    if (!(place >= 0 && place < places)) {
      return;
    }
    op.record ??= new Intent(this.#intents);
    op.record.begin(place, op.u32[HEADER_WORD + 2]!, op.u32[HEADER_WORD + 3]!, op.opcode, again(message));
    op.intent = op.record;
  }
}
