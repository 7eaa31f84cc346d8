/**
 * A guest in real mode, without page tables: what also runs on a KVM that emulates. DS begins at the window; EBX is an
 * offset in it, EAX what is loaded or stored. It ends with HLT.
 */
import { KvmSegment, KvmSregs } from '@oriel/sys';
import { EXCEPTION_MARK, type GuestMode, VECTORS, WINDOW_GPA } from './guest-mode.ts';

const CODE = 0x1000;
const HANDLERS = 0x2000;
const HANDLER_STRIDE = 8;
const STACK_TOP = 0x8000;
/** Flags, CS and IP of 16 bits. */
const FRAME_BYTES = 6;
const NO_LIMIT = 0xffff_ffff;

const HLT = 0xf4;
/** Two prefixes (32-bit address, 32-bit operand) and MOV EAX, [EBX]. */
const LOAD = [0x67, 0x66, 0x8b, 0x03, HLT];
/** MOV [EBX], EAX. */
const STORE = [0x67, 0x66, 0x89, 0x03, HLT];
/** Loads ECX words, ESI bytes apart, and puts them one after the other at ES:EDI. */
const SWEEP = [
  ...[0x67, 0x66, 0x8b, 0x03], // MOV EAX, [EBX]
  ...[0x26, 0x67, 0x66, 0x89, 0x07], // MOV ES:[EDI], EAX
  ...[0x66, 0x01, 0xf3], // ADD EBX, ESI
  ...[0x66, 0x83, 0xc7, 0x04], // ADD EDI, 4
  ...[0x66, 0x49], // DEC ECX
  ...[0x75, 0xec], // JNZ to the load
  HLT,
];

export const realMode: GuestMode = {
  name: 'real',
  windowBase: 0,
  loadAt: CODE,
  storeAt: CODE + LOAD.length,
  sweepAt: CODE + LOAD.length + STORE.length,
  stackTop: STACK_TOP,
  writeTo(ram) {
    const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    for (let vector = 0; vector < VECTORS; vector += 1) {
      const handler = HANDLERS + vector * HANDLER_STRIDE;
      view.setUint32(4 * vector, handler, true);
      // MOV DX, EXCEPTION_MARK + vector; HLT
      ram.set([0xba, vector, EXCEPTION_MARK >> 8, HLT], handler);
    }
    ram.set([...LOAD, ...STORE, ...SWEEP], CODE);
  },
  enter(sregs) {
    for (const segment of [KvmSregs.cs, KvmSregs.ss, KvmSregs.es]) {
      KvmSegment.base.set(sregs, segment.offset, 0);
      KvmSegment.selector.set(sregs, segment.offset, 0);
    }
    KvmSegment.base.set(sregs, KvmSregs.ds.offset, WINDOW_GPA);
    KvmSegment.selector.set(sregs, KvmSregs.ds.offset, 0);
    KvmSegment.limit.set(sregs, KvmSregs.ds.offset, NO_LIMIT);
  },
  hasErrorCode: () => false,
  faultedAt: (ram) => ram.getUint16(STACK_TOP - FRAME_BYTES, true),
};
