/** Every request that a virtiofs driver sends, as bytes. */
import * as C from '../constants.ts';
import * as L from '../layout.ts';
import { OUT_HEADER } from '../protocol.ts';
import { FileRequests } from './file-requests.ts';

/** Fields of an INIT request; all that Linux 7.3 offers by default. */
export interface InitInput {
  readonly major?: number;
  readonly minor?: number;
  readonly maxReadahead?: number;
  readonly flagsLo?: number;
  readonly flagsHi?: number;
  /** Only the first 16 bytes, as drivers before 7.36 send them. */
  readonly short?: boolean;
}

/** One method for each opcode; each replaces the request before. `room` then says how much a reply needs. */
export class RequestEncoder extends FileRequests {
  init(input: InitInput = {}): this {
    const { major = 7, minor = C.FUSE_KERNEL_MINOR_VERSION, maxReadahead = 131072 } = input;
    const { flagsLo = 0x7fff_fffb, flagsHi = 0x5ff, short = false } = input;
    const len = short ? L.FuseInitIn.flags2.offset : L.FuseInitIn.byteLength;
    const at = this.begin(C.FUSE_INIT, 0, len, OUT_HEADER + L.FuseInitOut.byteLength);
    const view = this.view;
    L.FuseInitIn.major.set(view, at, major);
    L.FuseInitIn.minor.set(view, at, minor);
    L.FuseInitIn.maxReadahead.set(view, at, maxReadahead);
    L.FuseInitIn.flags.set(view, at, flagsLo);
    if (!short) {
      L.FuseInitIn.flags2.set(view, at, flagsHi);
    }
    return this.end();
  }

  destroy(): this {
    this.begin(C.FUSE_DESTROY, 0, 0, OUT_HEADER);
    return this.end();
  }

  interrupt(uniqueLo: number, uniqueHi: number): this {
    const at = this.begin(C.FUSE_INTERRUPT, 0, L.FuseInterruptIn.byteLength, 0);
    L.FuseInterruptIn.unique.setParts(this.view, at, uniqueLo, uniqueHi);
    return this.end();
  }

  /** Any opcode with any body: for opcodes not listed, and for tests of bad requests. */
  raw(opcode: number, nodeid: number, body: Uint8Array, room: number): this {
    this.begin(opcode, nodeid, 0, room);
    return this.append(body).end();
  }
}
