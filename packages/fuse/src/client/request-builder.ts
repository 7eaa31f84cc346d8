/** The frame of a request: header, arguments, names, extensions. */
import { TWO_32 } from '@oriel/layout';
import { FUSE_EXT_GROUPS } from '../constants.ts';
import { FuseExtHeader, FuseInHeader, FuseSecctx, FuseSecctxHeader, FuseSuppGroups } from '../layout.ts';

/** A name as text (sent as UTF-8) or as bytes, without NUL. */
export type NameInput = string | Uint8Array;

const HEADER = FuseInHeader.byteLength;
/** Bytes of the supplementary group extension: two headers and one group. */
const GROUP_EXTENSION = FuseExtHeader.byteLength + FuseSuppGroups.byteLength + 4;
const encoder = new TextEncoder();

/** Builds one request at a time in its own memory; reused from request to request. */
export class RequestBuilder {
  /** Holds the request: bytes [0, len). */
  readonly bytes: Uint8Array;
  /** Bytes of the request, without the data of a WRITE. */
  len = 0;
  /** Writable bytes that the reply needs at most; 0 where there is none. */
  room = 0;
  /** GETXATTR or LISTXATTR of size 0: the reply is a count. */
  asksLength = false;
  opcode = 0;
  /** The request's `unique`; each request gets the next one. */
  uniqueLo = 0;
  uniqueHi = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  /** Group sent with creating requests (FUSE_CREATE_SUPP_GROUP), or -1. */
  supplementaryGroup = -1;
  /** Label sent with creating requests (FUSE_SECURITY_CTX), or null. */
  security: { readonly name: string; readonly value: Uint8Array } | null = null;
  protected readonly view: DataView;

  /** @param capacity - bytes of the longest request, data of WRITE not counted */
  constructor(capacity = 128 * 1024) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Starts a request whose arguments take `argBytes`, and zeroes them. @returns where they start */
  protected begin(opcode: number, nodeid: number, argBytes: number, room: number): number {
    const view = this.view;
    this.bytes.fill(0, 0, HEADER + argBytes);
    this.uniqueLo = (this.uniqueLo + 2) >>> 0;
    if (this.uniqueLo < 2) {
      this.uniqueHi = (this.uniqueHi + 1) >>> 0;
    }
    FuseInHeader.opcode.set(view, 0, opcode);
    FuseInHeader.unique.setParts(view, 0, this.uniqueLo, this.uniqueHi);
    FuseInHeader.nodeid.setParts(view, 0, nodeid % TWO_32, Math.floor(nodeid / TWO_32));
    FuseInHeader.uid.set(view, 0, this.uid);
    FuseInHeader.gid.set(view, 0, this.gid);
    FuseInHeader.pid.set(view, 0, this.pid);
    this.opcode = opcode;
    this.len = HEADER + argBytes;
    this.room = room;
    this.asksLength = false;
    return HEADER;
  }

  /** Appends a name and its NUL. */
  protected name(name: NameInput): this {
    if (typeof name === 'string') {
      this.len += encoder.encodeInto(name, this.bytes.subarray(this.len)).written;
    } else {
      this.bytes.set(name, this.len);
      this.len += name.length;
    }
    this.bytes[this.len++] = 0;
    return this;
  }

  /** A request whose only argument is a name. */
  protected named(opcode: number, nodeid: number, room: number, name: NameInput): this {
    this.begin(opcode, nodeid, 0, room);
    return this.name(name).end();
  }

  /** Appends bytes. */
  protected append(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.len);
    this.len += bytes.length;
    return this;
  }

  /** Appends the label and the supplementary group where they are set. */
  protected extend(): this {
    const start = this.len;
    if (this.security !== null) {
      this.#appendSecurity(this.security.name, this.security.value);
    }
    if (this.supplementaryGroup >= 0) {
      const extension = new Uint8Array(GROUP_EXTENSION);
      const words = new DataView(extension.buffer);
      FuseExtHeader.size.set(words, 0, GROUP_EXTENSION);
      FuseExtHeader.type.set(words, 0, FUSE_EXT_GROUPS);
      FuseSuppGroups.nrGroups.set(words, FuseExtHeader.byteLength, 1);
      words.setUint32(FuseExtHeader.byteLength + FuseSuppGroups.byteLength, this.supplementaryGroup, true);
      this.append(extension);
    }
    FuseInHeader.totalExtlen.set(this.view, 0, (this.len - start) / 8);
    return this;
  }

  #appendSecurity(name: string, value: Uint8Array): void {
    const text = encoder.encode(`${name}\0`);
    const used = FuseSecctxHeader.byteLength + FuseSecctx.byteLength + text.length + value.length;
    const extension = new Uint8Array((used + 7) & ~7);
    const words = new DataView(extension.buffer);
    FuseSecctxHeader.size.set(words, 0, extension.length);
    FuseSecctxHeader.nrSecctx.set(words, 0, 1);
    FuseSecctx.size.set(words, FuseSecctxHeader.byteLength, value.length);
    extension.set(text, FuseSecctxHeader.byteLength + FuseSecctx.byteLength);
    extension.set(value, FuseSecctxHeader.byteLength + FuseSecctx.byteLength + text.length);
    this.append(extension);
  }

  /** Ends the request: `extra` bytes of data follow outside of `bytes`. */
  protected end(extra = 0): this {
    FuseInHeader.len.set(this.view, 0, this.len + extra);
    return this;
  }
}
