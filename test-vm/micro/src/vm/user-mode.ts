/**
 * A guest of 64-bit user code over page tables: what a KVM runs on the processor itself, also one that emulates everything
 * else (kvm_pvm). Addresses are guest addresses; RBX is where, EAX what. It ends with a store to the doorbell; an exception
 * enters the kernel of the guest, which does the same.
 */
import { KvmSegment, KvmSregs } from '@oriel/sys';
import { DOORBELL_GPA, EXCEPTION_MARK, type GuestMode, VECTORS, WINDOW_GPA } from './guest-mode.ts';

const CODE = 0x1000;
const IDT = 0x2000;
const GDT = 0x2800;
const TSS = 0x2900;
const HANDLERS = 0x3000;
const PML4 = 0x4000;
const PDPT = 0x5000;
const PD = 0x6000;
const KERNEL_STACK_TOP = 0x8000;

const HANDLER_STRIDE = 16;
const GATE_BYTES = 16;
const TSS_BYTES = 0x68;
const PD_ENTRIES = 512;
const TWO_16 = 0x1_0000;
const HUGE_PAGE = 0x20_0000;

/** Selectors: of the GDT below, user ones with privilege 3. */
const KERNEL_CODE = 0x08;
const USER_CODE = 0x18 | 3;
const USER_DATA = 0x20 | 3;
const TASK = 0x28;
/** Descriptors: flat segments, 64-bit code. */
const KERNEL_CODE_DESCRIPTOR = 0x00af_9b00_0000_ffffn;
const KERNEL_DATA_DESCRIPTOR = 0x00cf_9300_0000_ffffn;
const USER_CODE_DESCRIPTOR = 0x00af_fb00_0000_ffffn;
const USER_DATA_DESCRIPTOR = 0x00cf_f300_0000_ffffn;
const TASK_DESCRIPTOR = 0x0000_8900_0000_0067n | (BigInt(TSS) << 16n);
/** Present, writable, for user code; a page directory entry may be a page of 2 MiB. */
const TABLE = 0x7;
const PAGE_OF_2_MIB = 0x87;
/** Present, 64-bit interrupt gate. */
const INTERRUPT_GATE = 0x8e00;

/** PG, ET, PE. */
const CR0 = 0x8000_0011;
/** PAE. */
const CR4 = 0x20;
/** LME, LMA. */
const EFER = 0x500;

/** Vectors whose frame begins with an error code: 8, 10 to 14, 17, 21. */
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
/** SS, RSP, RFLAGS, CS, RIP. */
const FRAME_BYTES = 40;

const doorbellBytes = [0, 8, 16, 24].map((shift) => (DOORBELL_GPA >>> shift) & 0xff);
/** MOV [doorbell], EAX. */
const RING = [0x89, 0x04, 0x25, ...doorbellBytes];
/** MOV EAX, [RBX]. */
const LOAD = [0x8b, 0x03, ...RING];
/** MOV [RBX], EAX. */
const STORE = [0x89, 0x03, ...RING];
/** Loads ECX words, RSI bytes apart, and puts them one after the other at RDI. */
const SWEEP = [
  ...[0x8b, 0x03], // MOV EAX, [RBX]
  ...[0x89, 0x07], // MOV [RDI], EAX
  ...[0x48, 0x01, 0xf3], // ADD RBX, RSI
  ...[0x48, 0x83, 0xc7, 0x04], // ADD RDI, 4
  ...[0xff, 0xc9], // DEC ECX
  ...[0x75, 0xf1], // JNZ to the load
  ...RING,
];

export const userMode: GuestMode = {
  name: 'user',
  windowBase: WINDOW_GPA,
  loadAt: CODE,
  storeAt: CODE + LOAD.length,
  sweepAt: CODE + LOAD.length + STORE.length,
  stackTop: KERNEL_STACK_TOP,
  writeTo(ram) {
    const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    ram.set([...LOAD, ...STORE, ...SWEEP], CODE);
    writeSegments(view);
    writeHandlers(ram, view);
    writePageTables(view);
  },
  enter(sregs) {
    setSegment(sregs, KvmSregs.cs.offset, {
      selector: USER_CODE,
      type: 11,
      dpl: 3,
      s: 1,
      l: 1,
      db: 0,
      limit: 0xffff_ffff,
    });
    const data = { selector: USER_DATA, type: 3, dpl: 3, s: 1, l: 0, db: 1, limit: 0xffff_ffff };
    for (const segment of [KvmSregs.ds, KvmSregs.es, KvmSregs.fs, KvmSregs.gs, KvmSregs.ss]) {
      setSegment(sregs, segment.offset, data);
    }
    setSegment(sregs, KvmSregs.tr.offset, {
      selector: TASK,
      type: 11,
      dpl: 0,
      s: 0,
      l: 0,
      db: 0,
      limit: TSS_BYTES - 1,
    });
    KvmSegment.base.set(sregs, KvmSregs.tr.offset, TSS);
    setTable(sregs, KvmSregs.gdt.offset, GDT, 0x37);
    setTable(sregs, KvmSregs.idt.offset, IDT, VECTORS * GATE_BYTES - 1);
    KvmSregs.cr0.set(sregs, 0, CR0);
    KvmSregs.cr3.set(sregs, 0, PML4);
    KvmSregs.cr4.set(sregs, 0, CR4);
    KvmSregs.efer.set(sregs, 0, EFER);
  },
  hasErrorCode: (vector) => WITH_ERROR_CODE.has(vector),
  // RIP stands at the end of the frame, above the error code if there is one.
  faultedAt: (ram) => Number(ram.getBigUint64(KERNEL_STACK_TOP - FRAME_BYTES, true)),
};

function writeSegments(view: DataView): void {
  const descriptors = [
    KERNEL_CODE_DESCRIPTOR,
    KERNEL_DATA_DESCRIPTOR,
    USER_CODE_DESCRIPTOR,
    USER_DATA_DESCRIPTOR,
    TASK_DESCRIPTOR,
  ];
  descriptors.forEach((descriptor, index) => {
    view.setBigUint64(GDT + 8 * (index + 1), descriptor, true);
  });
  // RSP0: the stack of exceptions.
  view.setBigUint64(TSS + 4, BigInt(KERNEL_STACK_TOP), true);
}

function writeHandlers(ram: Uint8Array, view: DataView): void {
  for (let vector = 0; vector < VECTORS; vector += 1) {
    const handler = HANDLERS + vector * HANDLER_STRIDE;
    view.setUint32(IDT + vector * GATE_BYTES, KERNEL_CODE * TWO_16 + handler, true);
    view.setUint32(IDT + vector * GATE_BYTES + 4, INTERRUPT_GATE, true);
    // MOV EDX, EXCEPTION_MARK + vector; MOV [doorbell], EAX
    ram.set([0xba, vector, EXCEPTION_MARK >> 8, 0, 0, ...RING], handler);
  }
}

/** One to one, 1 GiB. */
function writePageTables(view: DataView): void {
  view.setUint32(PML4, PDPT | TABLE, true);
  view.setUint32(PDPT, PD | TABLE, true);
  for (let entry = 0; entry < PD_ENTRIES; entry += 1) {
    view.setUint32(PD + 8 * entry, entry * HUGE_PAGE + PAGE_OF_2_MIB, true);
  }
}

interface SegmentFields {
  readonly selector: number;
  readonly type: number;
  readonly dpl: number;
  readonly s: number;
  readonly l: number;
  readonly db: number;
  readonly limit: number;
}

function setSegment(sregs: DataView, base: number, fields: SegmentFields): void {
  KvmSegment.base.set(sregs, base, 0);
  KvmSegment.limit.set(sregs, base, fields.limit);
  KvmSegment.selector.set(sregs, base, fields.selector);
  KvmSegment.type.set(sregs, base, fields.type);
  KvmSegment.present.set(sregs, base, 1);
  KvmSegment.dpl.set(sregs, base, fields.dpl);
  KvmSegment.db.set(sregs, base, fields.db);
  KvmSegment.s.set(sregs, base, fields.s);
  KvmSegment.l.set(sregs, base, fields.l);
  KvmSegment.g.set(sregs, base, fields.s);
  KvmSegment.unusable.set(sregs, base, 0);
}

function setTable(sregs: DataView, base: number, address: number, limit: number): void {
  // struct kvm_dtable: base, then a limit of 16 bits.
  sregs.setBigUint64(base, BigInt(address), true);
  sregs.setUint16(base + 8, limit, true);
}
