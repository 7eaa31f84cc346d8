/** A reply as the driver sees it, with the checks that Linux 7.3 makes. */
import { toBigInt } from '@oriel/layout';
import { Attributes } from '../attributes.ts';
import { FUSE_READDIRPLUS } from '../constants.ts';
import { Entry } from '../entry.ts';
import { FuseError } from '../errors.ts';
import * as L from '../layout.ts';
import * as P from '../protocol.ts';
import type { StatfsOut } from '../statfs.ts';
import { readAttrOut, readEntry, readStatfs, readStatxOut, type StatxReply } from './decode.ts';
import { type DirRecord, readRecords } from './dir-record.ts';

const BODY = P.OUT_HEADER;
const ERRNO_END = 512;

/** What a reply answers; a {@link RequestEncoder} is one. */
export interface Asked {
  readonly opcode: number;
  readonly uniqueLo: number;
  readonly uniqueHi: number;
  /** Writable bytes offered. */
  readonly room: number;
  /** The reply is to be a count: GETXATTR or LISTXATTR of size 0. Default false. */
  readonly asksLength?: boolean;
}

/** The agreed values of an INIT reply. */
export interface InitReply {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flagsLo: number;
  readonly flagsHi: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
  readonly maxWrite: number;
  readonly timeGran: number;
  readonly maxPages: number;
  readonly mapAlignment: number;
}

/** Reads one reply at a time; reused. Numbers stay valid, `data` and `bytes` until the memory is used again. */
export class ReplyDecoder {
  /** 0, or a positive errno. */
  error = 0;
  bytes: Uint8Array = new Uint8Array(0);
  /** Bytes behind the header. */
  bodyLen = 0;
  readonly entry: Entry = new Entry();
  readonly attr: Attributes = new Attributes();
  #view: DataView = new DataView(new ArrayBuffer(0));
  #opcode = 0;

  /**
   * Takes the reply in `bytes` [0, used) and checks it: length, unique, error.
   * @throws FuseError ERR_FUSE_REPLY_LENGTH, ERR_FUSE_REPLY_UNIQUE, ERR_FUSE_REPLY_ERROR
   */
  take(asked: Asked, bytes: Uint8Array, used: number): this {
    if (this.bytes.buffer !== bytes.buffer || this.bytes.byteOffset !== bytes.byteOffset) {
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.bytes = bytes;
    const view = this.#view;
    const { opcode, uniqueLo, uniqueHi, room, asksLength = false } = asked;
    const shape = P.replyOf(opcode);
    if (shape === P.REPLY_SILENT) {
      wantLength(opcode, used, 0, 0);
      this.error = 0;
      this.bodyLen = 0;
      return this;
    }
    if (used < BODY || used > bytes.length || L.FuseOutHeader.len.get(view, 0) !== used) {
      throw new FuseError('ERR_FUSE_REPLY_LENGTH', 'server', `${P.opcodeName(opcode)}: ${used} bytes used`);
    }
    if (L.FuseOutHeader.unique.lo(view, 0) !== uniqueLo || L.FuseOutHeader.unique.hi(view, 0) !== uniqueHi) {
      throw new FuseError('ERR_FUSE_REPLY_UNIQUE', 'server', P.opcodeName(opcode));
    }
    const error = L.FuseOutHeader.error.get(view, 0);
    if (error > 0 || error <= -ERRNO_END) {
      throw new FuseError('ERR_FUSE_REPLY_ERROR', 'server', `${P.opcodeName(opcode)}: ${error}`);
    }
    this.#opcode = opcode;
    this.error = error === 0 ? 0 : -error;
    this.bodyLen = used - BODY;
    if (error !== 0) {
      wantLength(opcode, used, BODY, BODY);
    } else {
      const least = asksLength ? L.FuseGetxattrOut.byteLength : P.REPLY_BYTES[shape]!;
      const varies = shape === P.REPLY_IOCTL || (shape >= P.REPLY_IN_PLACE && !(least > 0));
      const most = varies ? room : BODY + least;
      wantLength(opcode, used, shape === P.REPLY_INIT ? BODY + 8 : BODY + least, most);
    }
    return this;
  }

  /** Entry of a lookup-like reply. */
  readEntry(): Entry {
    readEntry(this.#view, BODY, this.entry);
    return this.entry;
  }

  /** Attributes of GETATTR and SETATTR. */
  readAttributes(): Attributes {
    readAttrOut(this.#view, BODY, this.attr);
    return this.attr;
  }

  /** What STATX tells. */
  readStatx(): StatxReply {
    return readStatxOut(this.#view, BODY, this.attr);
  }

  /** The answer of IOCTL: its result, and a view of its data. */
  readIoctl(): { readonly result: number; readonly data: Uint8Array } {
    const data = this.bytes.subarray(BODY + L.FuseIoctlOut.byteLength, BODY + this.bodyLen);
    return { result: L.FuseIoctlOut.result.get(this.#view, BODY), data };
  }

  /** The handle of OPEN, OPENDIR, CREATE, TMPFILE. */
  get fh(): number {
    return L.FuseOpenOut.fh.get(this.#view, this.#openAt);
  }

  /** FOPEN_* of the same. */
  get openFlags(): number {
    return L.FuseOpenOut.openFlags.get(this.#view, this.#openAt);
  }

  /** Bytes of WRITE, COPY_FILE_RANGE(_64), or of GETXATTR and LISTXATTR with size 0. */
  get count(): number {
    return L.FuseWriteOut.size.get(this.#view, BODY);
  }

  /** The offset of LSEEK. */
  get offset(): number {
    return L.FuseLseekOut.offset.get(this.#view, BODY);
  }

  /** READ, READLINK, GETXATTR, LISTXATTR: a view of the body. */
  get data(): Uint8Array {
    return this.bytes.subarray(BODY, BODY + this.bodyLen);
  }

  /** The lock of GETLK: type, first and last byte, and pid. */
  readLock(): { readonly type: number; readonly start: bigint; readonly end: bigint; readonly pid: number } {
    const { type, start, end, pid } = L.FuseFileLock;
    return {
      type: type.get(this.#view, BODY),
      start: toBigInt(start.lo(this.#view, BODY), start.hi(this.#view, BODY)),
      end: toBigInt(end.lo(this.#view, BODY), end.hi(this.#view, BODY)),
      pid: pid.get(this.#view, BODY),
    };
  }

  readStatfs(): StatfsOut {
    return readStatfs(this.#view, BODY);
  }

  /** @throws FuseError ERR_FUSE_REPLY_RECORD */
  readRecords(): DirRecord[] {
    return readRecords(this.bytes, BODY, BODY + this.bodyLen, this.#opcode === FUSE_READDIRPLUS);
  }

  readInit(): InitReply {
    const view = this.#view;
    const init = L.FuseInitOut;
    const whole = this.bodyLen === init.byteLength;
    return {
      major: init.major.get(view, BODY),
      minor: init.minor.get(view, BODY),
      maxReadahead: whole ? init.maxReadahead.get(view, BODY) : 0,
      flagsLo: whole ? init.flags.get(view, BODY) : 0,
      flagsHi: whole ? init.flags2.get(view, BODY) : 0,
      maxBackground: whole ? init.maxBackground.get(view, BODY) : 0,
      congestionThreshold: whole ? init.congestionThreshold.get(view, BODY) : 0,
      maxWrite: whole ? init.maxWrite.get(view, BODY) : 0,
      timeGran: whole ? init.timeGran.get(view, BODY) : 0,
      maxPages: whole ? init.maxPages.get(view, BODY) : 0,
      mapAlignment: whole ? init.mapAlignment.get(view, BODY) : 0,
    };
  }

  get #openAt(): number {
    return P.replyOf(this.#opcode) === P.REPLY_CREATE ? BODY + L.FuseEntryOut.byteLength : BODY;
  }
}

function wantLength(opcode: number, used: number, least: number, most: number): void {
  if (used < least || used > most) {
    const wanted = least === most ? `${least}` : `${least} to ${most}`;
    throw new FuseError('ERR_FUSE_REPLY_LENGTH', 'server', `${P.opcodeName(opcode)}: ${used} bytes, wanted ${wanted}`);
  }
}
