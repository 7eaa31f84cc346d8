/**
 * File handles of inodes that gave up their descriptors: what open_by_handle_at makes a descriptor of again, as long as the
 * file is there. A handle names the inode and its generation, so it never leads to a later file with the same number. The
 * guest neither sees one nor has a say in it.
 */
import {
  type Address,
  AT_EMPTY_PATH,
  ESTALE,
  FileHandle,
  Mapping,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  S_IFDIR,
  type SysFile,
  type SysMem,
} from '@oriel/sys';
import type { FileStatus } from './file-status.ts';
import type { ShareFd } from './remote/remote-fd.ts';
import type { Scratch } from './scratch.ts';

/** A handle with its head: ext4, XFS, btrfs and tmpfs need 8 to 20 bytes behind it. */
const RECORD_LEN = 32;
const RECORD_WORDS = RECORD_LEN / 4;
const HEAD_WORDS = FileHandle.byteLength / 4;
const BYTES_WORD = FileHandle.handleBytes.offset / 4;
const TYPE_WORD = FileHandle.handleType.offset / 4;
const ROOM = RECORD_LEN - FileHandle.byteLength;
/** u32 words of a handle with its head. */
export const HANDLE_WORDS = RECORD_WORDS;
const CHUNK_BITS = 12;
const CHUNK_RECORDS = 1 << CHUNK_BITS;
/** No inode has this slot: the record is for a handle that is needed for one call only. */
const TEMPORARY = 0;
const REOPEN_FLAGS = O_PATH | O_CLOEXEC;

/** Handles by slot. */
export class FileHandles implements Disposable {
  readonly #mem: SysMem;
  readonly #fd: ShareFd;
  readonly #file: SysFile;
  readonly #scratch: Scratch;
  /** The kept handles of a share with a journal; the chunks then hold but the temporary ones. */
  #column: Uint32Array | null = null;
  readonly #chunks: (Mapping | undefined)[] = [];
  readonly #words: Uint32Array[] = [];

  constructor(sys: { mem: SysMem; fd: ShareFd; file: SysFile }, scratch: Scratch) {
    this.#mem = sys.mem;
    this.#fd = sys.fd;
    this.#file = sys.file;
    this.#scratch = scratch;
  }

  /** Keeps handles from now on in a column of `HANDLE_WORDS` a slot; null: in memory of its own. Those of before are lost. */
  useColumn(column: Uint32Array | null): void {
    this.#column = column;
  }

  /** Keeps the handle of an O_PATH descriptor. @returns 0 or a negative errno @throws SysError ENOMEM */
  keep(slot: number, fd: number): number {
    const column = this.#column;
    if (column === null || slot === TEMPORARY) {
      return this.#ask(slot, fd, this.#scratch.empty, AT_EMPTY_PATH);
    }
    const failed = this.#ask(TEMPORARY, fd, this.#scratch.empty, AT_EMPTY_PATH);
    if (failed === 0) {
      const asked = this.#words[TEMPORARY]!;
      for (let word = 0; word < RECORD_WORDS; word++) {
        column[slot * RECORD_WORDS + word] = asked[word]!;
      }
    }
    return failed;
  }

  /** Opens the file of a kept handle, O_PATH. @returns a descriptor or a negative errno, ESTALE when the file is gone */
  open(slot: number, mountFd: number): number {
    const column = this.#column;
    if (column === null || slot === TEMPORARY) {
      return this.#file.openByHandleAt(mountFd, this.#record(slot), REOPEN_FLAGS);
    }
    return this.openTold(column, slot * RECORD_WORDS, mountFd);
  }

  /** As `open`, for a handle that somebody else told: `HANDLE_WORDS` words from `at` on. */
  openTold(words: Uint32Array, at: number, mountFd: number): number {
    const record = this.#record(TEMPORARY);
    const copy = this.#words[TEMPORARY]!;
    for (let word = 0; word < RECORD_WORDS; word++) {
      copy[word] = words[at + word]!;
    }
    // Written by another process: the kernel is told of no more bytes than there are.
    return copy[BYTES_WORD]! > ROOM ? -ESTALE : this.#file.openByHandleAt(mountFd, record, REOPEN_FLAGS);
  }

  /** Copies the handle of an O_PATH descriptor, `HANDLE_WORDS` words with zeros behind it. @returns 0 or a negative errno */
  tell(fd: number, into: Uint32Array): number {
    const record = this.#record(TEMPORARY);
    const asked = this.#words[TEMPORARY]!;
    asked.fill(0, 0, RECORD_WORDS);
    asked[BYTES_WORD] = ROOM;
    const failed = this.#file.nameToHandleAt(fd, this.#scratch.empty, record, this.#scratch.mountId, AT_EMPTY_PATH);
    if (failed === 0) {
      into.set(asked.subarray(0, RECORD_WORDS));
    }
    return failed;
  }

  /**
   * True when an entry is the file of a kept handle.
   * @param flags - 0, or AT_EMPTY_PATH for `dirfd` itself
   * @param mount - the mount on which the handle was taken
   */
  matches(slot: number, dirfd: number, name: Address, flags: number, mount: number): boolean {
    if (this.#ask(TEMPORARY, dirfd, name, flags) < 0 || this.#scratch.mountIdWord[0] !== mount) {
      return false;
    }
    const column = this.#column;
    const kept = column ?? this.#words[slot >>> CHUNK_BITS]!;
    const asked = this.#words[TEMPORARY]!;
    const at = (column === null ? slot & (CHUNK_RECORDS - 1) : slot) * RECORD_WORDS;
    if (kept[at + BYTES_WORD] !== asked[BYTES_WORD] || kept[at + TYPE_WORD] !== asked[TYPE_WORD]) {
      return false;
    }
    const end = HEAD_WORDS + (asked[BYTES_WORD]! >>> 2);
    for (let word = HEAD_WORDS; word < end; word++) {
      if (kept[at + word] !== asked[word]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Tries whether files of a mount can be opened by handle.
   * @param fd - O_PATH descriptor of a directory or regular file on it
   * @param number - "N" of that descriptor, relative to `procFd`
   * @param status - what statx says of it
   * @param again - for the status of what the handle leads to
   * @returns a descriptor to give to `open`, or a negative errno
   */
  tryMount(fd: number, procFd: number, number: Address, status: FileStatus, again: FileStatus): number {
    const taken = this.keep(TEMPORARY, fd);
    if (taken < 0) {
      return taken;
    }
    const directory = status.type === S_IFDIR ? O_DIRECTORY : 0;
    const mountFd = this.#file.openat(procFd, number, O_RDONLY | O_NONBLOCK | O_CLOEXEC | directory, 0);
    if (mountFd < 0) {
      return mountFd;
    }
    const opened = this.open(TEMPORARY, mountFd);
    let result = opened;
    if (opened >= 0) {
      result = again.ofFd(opened);
      if (result === 0 && !again.isSameFile(status)) {
        result = -ESTALE;
      }
      this.#fd.close(opened);
    }
    if (result < 0) {
      this.#fd.close(mountFd);
      return result;
    }
    return mountFd;
  }

  [Symbol.dispose](): void {
    for (const chunk of this.#chunks) {
      chunk?.[Symbol.dispose]();
    }
    this.#chunks.length = 0;
    this.#words.length = 0;
  }

  #ask(slot: number, dirfd: number, name: Address, flags: number): number {
    const record = this.#record(slot);
    this.#words[slot >>> CHUNK_BITS]![(slot & (CHUNK_RECORDS - 1)) * RECORD_WORDS + BYTES_WORD] = ROOM;
    return this.#file.nameToHandleAt(dirfd, name, record, this.#scratch.mountId, flags);
  }

  #record(slot: number): Address {
    const index = slot >>> CHUNK_BITS;
    const chunk = index < this.#chunks.length ? this.#chunks[index] : undefined;
    return (chunk ?? this.#addChunk(index)).addr + (slot & (CHUNK_RECORDS - 1)) * RECORD_LEN;
  }

  #addChunk(index: number): Mapping {
    const chunk = Mapping.anonymous(this.#mem, CHUNK_RECORDS * RECORD_LEN);
    while (this.#chunks.length <= index) {
      this.#chunks.push(undefined);
      this.#words.push(new Uint32Array(0));
    }
    this.#chunks[index] = chunk;
    this.#words[index] = new Uint32Array(chunk.u8.buffer, chunk.u8.byteOffset, CHUNK_RECORDS * RECORD_WORDS);
    return chunk;
  }
}
