/** The concrete operation: its private native memory, and what a session notes about it. */
import { type Address, Mapping, SysError, type SysMem } from '@oriel/sys';
import type { DirRecords } from './dir-records.ts';
import { Entry } from './entry.ts';
import { FileLock } from './file-lock.ts';
import type { IoVector } from './io-vector.ts';
import type { FuseMessage } from './message.ts';
import { NativeName } from './name.ts';
import type { Operation } from './operation.ts';
import { type SecurityContext, SecurityRecord } from './security-context.ts';
import { SetAttrRecord } from './set-attr.ts';
import { StatfsRecord } from './statfs.ts';
import { StatxRecord } from './statx.ts';
import type { Intent } from './survival/intent.ts';

/** Where in the memory the request is copied to; the fixed replies stand before it. */
export const REQUEST = 512;
/** Words of the request's header and body in `u32`. */
export const HEADER_WORD = REQUEST / 4;
export const BODY_WORD = HEADER_WORD + 10;
/** Memory for reply and request at first; a large request makes it grow. */
const MEMORY = 8192;
/** IOV_MAX: more entries than preadv2 takes are of no use. */
export const MAX_IOVEC = 1024;
const IOVEC_BYTES = MAX_IOVEC * 16;

/** What an operation is doing. */
export const FREE = 0;
/** Inside a method of the Filesystem or a hook. */
export const EXECUTING = 1;
/** As EXECUTING, and `complete` was called meanwhile: the result is in `result`. */
export const EARLY = 2;
/** The Filesystem or a hook will call `complete`. */
export const WAITING = 3;
/** Kept by `hold`. */
export const HELD = 4;
/** Kept by `beforeReply`; the result is in `result`. */
export const KEPT = 5;
/** The reply failed; a RELEASE that undoes it is under way. */
export const UNDOING = 6;

/** Who is told of `complete`. */
export interface Completer {
  completed(op: OperationRecord, result: number): void;
}

/** The data of a READ or WRITE inside an operation's message. */
class MessageData implements IoVector {
  addr: Address = 0;
  count = 0;
  len = 0;
  /** Where the data starts in the message's readable or writable part. */
  base = 0;
  message: FuseMessage | null = null;

  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    return this.message === null ? 0 : this.message.read(this.base + offset, to, toOffset, len);
  }

  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    return this.message === null ? 0 : this.message.write(this.base + offset, from, fromOffset, len);
  }
}

/** A pooled operation. Fields beyond {@link Operation} belong to the session. */
export class OperationRecord implements Operation, Disposable {
  opcode = 0;
  nodeid = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  readonly name: NativeName = new NativeName();
  readonly name2: NativeName = new NativeName();
  umask = 0;
  supplementaryGroup = -1;
  security: SecurityContext | null = null;
  readonly entry: Entry = new Entry();
  fh = 0;
  openFlags = 0;
  offset = 0;
  size = 0;
  targetNodeid = 0;
  context: unknown = undefined;
  intent: Intent | null = null;
  /** The object that `intent` is while there is a journal. */
  record: Intent | null = null;

  state: number = FREE;
  /** The message was given back or lost: nothing may be written any more. */
  abandoned = false;
  /** Which message of the session it is. */
  serial = 0;
  /** The session's epoch at the start; a result of an older one is void. */
  epoch = 0;
  message: FuseMessage | null = null;
  /** REPLY_* of protocol.ts. */
  reply = 0;
  /** What a kept reply will say. */
  result = 0;
  /** Index behind the request's last byte before its extensions. */
  end = 0;
  /** Bytes of extensions at `end`. */
  extensions = 0;
  /** Where in `u8` the data of a REPLY_DATA starts. */
  dataAt = 0;
  u8: Uint8Array;
  u32: Uint32Array;
  view: DataView;
  iov: Uint32Array;
  addr: Address;
  readonly io: MessageData = new MessageData();
  readonly change: SetAttrRecord = new SetAttrRecord();
  readonly statfs: StatfsRecord = new StatfsRecord();
  readonly statx: StatxRecord = new StatxRecord();
  /** The object that `security` is where there is one. */
  readonly label: SecurityRecord = new SecurityRecord();
  readonly lock: FileLock = new FileLock();
  records: DirRecords | null = null;
  readonly #mem: SysMem;
  readonly #completer: Completer;
  #memory: Mapping;
  /** Bytes for reply and request, before the iovec array. */
  #capacity: number;

  /** @throws SysError ENOMEM */
  constructor(mem: SysMem, completer: Completer) {
    this.#mem = mem;
    this.#completer = completer;
    this.#capacity = MEMORY;
    const memory = Mapping.anonymous(mem, MEMORY + IOVEC_BYTES);
    this.#memory = memory;
    this.addr = memory.addr;
    this.u8 = memory.u8;
    this.u32 = new Uint32Array(memory.u8.buffer, memory.u8.byteOffset, memory.len / 4);
    this.view = new DataView(memory.u8.buffer, memory.u8.byteOffset, memory.len);
    this.iov = iovecOf(memory, MEMORY);
    this.io.addr = memory.addr + MEMORY;
  }

  /** Makes room for `bytes` of reply and request, keeping what is there. @returns 0 or -ENOMEM */
  reserve(bytes: number): number {
    return bytes <= this.#capacity ? 0 : this.#grow(bytes);
  }

  #grow(bytes: number): number {
    const capacity = Math.ceil(bytes / MEMORY) * MEMORY;
    let memory: Mapping;
    try {
      memory = Mapping.anonymous(this.#mem, capacity + IOVEC_BYTES);
    } catch (error) {
      if (error instanceof SysError) {
        return -error.errno;
      }
      throw error;
    }
    memory.u8.set(this.u8.subarray(0, this.#capacity));
    this.#memory[Symbol.dispose]();
    this.#memory = memory;
    this.#capacity = capacity;
    this.addr = memory.addr;
    this.u8 = memory.u8;
    this.u32 = new Uint32Array(memory.u8.buffer, memory.u8.byteOffset, memory.len / 4);
    this.view = new DataView(memory.u8.buffer, memory.u8.byteOffset, memory.len);
    this.iov = iovecOf(memory, capacity);
    this.io.addr = memory.addr + capacity;
    return 0;
  }

  /** Bytes for reply and request. */
  get capacity(): number {
    return this.#capacity;
  }

  bytes(addr: Address, len: number): Uint8Array {
    const at = addr - this.addr;
    if (!(at >= 0 && len >= 0 && at + len <= this.#capacity)) {
      throw new RangeError(`[${addr}, +${len}) lies outside of the operation's memory`);
    }
    return this.u8.subarray(at, at + len);
  }

  complete(result: number): void {
    this.#completer.completed(this, result);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

function iovecOf(memory: Mapping, at: number): Uint32Array {
  return new Uint32Array(memory.u8.buffer, memory.u8.byteOffset + at, IOVEC_BYTES / 4);
}
