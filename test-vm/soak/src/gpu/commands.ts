/** Commands of a guest that mostly knows what it does: they name things that exist, and sometimes things that do not. */
import { MEMORY_CAPSET_ID } from '@oriel/gpu-blob';
import * as encode from '@oriel/gpu-blob/testing';
import { RAM_GPA, WINDOW_GPA } from '@oriel/test-vm-loopback';
import type { Xorshift } from '../random.ts';
import { BUDGET, RAM } from './gpu-server.ts';
import { HELD_CAPSET_ID } from './held-contexts.ts';
import type { GpuModel } from './model.ts';

const PAGE = 4096;
const MOST_RESOURCE = 90;
const MOST_CONTEXT = 10;
const FORMATS = [1, 2, 3, 4, 67, 68, 121, 134];
const MOST_ENTRIES = 12;
const CAPSETS = [0, MEMORY_CAPSET_ID, MEMORY_CAPSET_ID, HELD_CAPSET_ID, HELD_CAPSET_ID, 3];
const WINDOW_PAGES = BUDGET.hostVisible / PAGE;

/** How often each is sent. */
const WEIGHTS = {
  displayInfo: 2,
  edid: 2,
  create2d: 8,
  unref: 8,
  scanout: 6,
  scanoutBlob: 4,
  flush: 10,
  transfer: 10,
  attachPages: 10,
  detachPages: 5,
  capsetInfo: 1,
  capset: 2,
  uuid: 2,
  hostBlob: 24,
  guestBlob: 8,
  bothBlob: 3,
  context: 8,
  endContext: 3,
  attach: 5,
  detach: 4,
  create3d: 1,
  transfer3d: 2,
  submit: 14,
  map: 30,
  unmap: 8,
} as const;

/** Makes commands from a book and random numbers. */
export class Commands {
  readonly #model: GpuModel;
  readonly #random: Xorshift;
  #fence = 0;

  constructor(model: GpuModel, random: Xorshift) {
    this.#model = model;
    this.#random = random;
  }

  /** The next command, whole and well-formed. */
  next(): Uint8Array {
    const random = this.#random;
    switch (random.weighted(WEIGHTS)) {
      case 'displayInfo':
        return encode.encodeGetDisplayInfo(this.#header());
      case 'edid':
        return encode.encodeGetEdid(random.below(3), this.#header());
      case 'create2d':
        return encode.encodeResourceCreate2d({ resourceId: this.#newResource(), ...this.#picture() }, this.#header());
      case 'unref':
        return encode.encodeResourceUnref(this.#resource(), this.#header());
      case 'scanout':
        return encode.encodeSetScanout({ ...this.#shown(), ...this.#box() }, this.#header());
      case 'scanoutBlob':
        return this.#scanoutBlob();
      case 'flush':
        return encode.encodeResourceFlush({ resourceId: this.#resource(), ...this.#box() }, this.#header());
      case 'transfer':
        return this.#transfer();
      case 'attachPages':
        return this.#attachPages();
      case 'detachPages':
        return encode.encodeDetachBacking(this.#resource(), this.#header());
      case 'capsetInfo':
        return encode.encodeGetCapsetInfo(random.below(4), this.#header());
      case 'capset':
        return encode.encodeGetCapset(random.pick(CAPSETS), random.below(4), this.#header());
      case 'uuid':
        return encode.encodeResourceAssignUuid(this.#resource(), this.#header());
      case 'hostBlob':
        return this.#blob(2);
      case 'guestBlob':
        return this.#blob(1);
      case 'bothBlob':
        return this.#blob(3);
      case 'context':
        return encode.encodeCtxCreate({ contextInit: random.pick(CAPSETS), debugName: 'soak' }, this.#header());
      case 'endContext':
        return encode.encodeCtxDestroy(this.#header());
      case 'attach':
        return encode.encodeCtxAttachResource(this.#resource(), this.#header());
      case 'detach':
        return encode.encodeCtxDetachResource(this.#resource(), this.#header());
      case 'create3d':
        return encode.encodeResourceCreate3d({ resourceId: this.#newResource(), ...this.#picture() }, this.#header());
      case 'transfer3d':
        return this.#transfer3d();
      case 'submit':
        return this.#submit();
      case 'map':
        return encode.encodeResourceMapBlob({ resourceId: this.#mappable(), offset: this.#offset() }, this.#header());
      case 'unmap':
        return encode.encodeResourceUnmapBlob(this.#resource(), this.#header());
    }
  }

  /** One for the cursor queue. */
  cursor(): Uint8Array {
    const random = this.#random;
    const fields = { scanoutId: random.below(3), x: random.below(700), y: random.u32(), resourceId: this.#resource() };
    return random.once(2)
      ? encode.encodeMoveCursor(fields)
      : encode.encodeUpdateCursor({ ...fields, hotX: random.below(70), hotY: random.below(64) });
  }

  #header(): encode.GpuHeader {
    const random = this.#random;
    const ctxId = this.#context();
    if (!random.once(4)) return { ctxId };
    this.#fence++;
    const id = { idLo: this.#fence, idHi: random.once(10) ? random.u32() : 0 };
    return { ctxId, fence: random.once(3) ? id : { ...id, ringIdx: random.below(random.once(8) ? 256 : 6) } };
  }

  #context(): number {
    const random = this.#random;
    const known = [...this.#model.contexts.keys()];
    return known.length > 0 && !random.once(4) ? random.pick(known) : random.below(MOST_CONTEXT);
  }

  #resource(): number {
    const random = this.#random;
    const known = [...this.#model.resources.keys()];
    return known.length > 0 && !random.once(6) ? random.pick(known) : random.below(MOST_RESOURCE);
  }

  /** Mostly what can be mapped and is not yet. */
  #mappable(): number {
    const random = this.#random;
    if (random.once(4)) return this.#resource();
    const known = [...this.#model.resources].filter(([, one]) => one.mappable && one.object !== null && one.offset < 0);
    return known.length > 0 ? random.pick(known)[0] : this.#resource();
  }

  #newResource(): number {
    return this.#random.below(MOST_RESOURCE);
  }

  #picture(): { readonly format: number; readonly width: number; readonly height: number } {
    const random = this.#random;
    const most = random.once(10) ? 1200 : 100;
    return { format: random.pick(FORMATS), width: random.below(most), height: random.below(most) };
  }

  #box(): { readonly x: number; readonly y: number; readonly width: number; readonly height: number } {
    const random = this.#random;
    const place = (): number => (random.once(3) ? random.below(64) : 0);
    return { x: place(), y: place(), width: random.from(10, 80), height: random.from(10, 80) };
  }

  #shown(): { readonly scanoutId: number; readonly resourceId: number } {
    return { scanoutId: this.#random.below(3), resourceId: this.#random.once(6) ? 0 : this.#resource() };
  }

  #scanoutBlob(): Uint8Array {
    const random = this.#random;
    const size = { fbWidth: random.from(10, 80), fbHeight: random.from(10, 80), format: random.pick(FORMATS) };
    const strides = [random.from(size.fbWidth * 4 - 4, size.fbWidth * 4 + 64)];
    const fields = { ...this.#shown(), ...this.#box(), ...size, strides, offsets: [random.below(3) * 100] };
    return encode.encodeSetScanoutBlob(fields, this.#header());
  }

  #transfer(): Uint8Array {
    const offset = this.#random.once(3) ? this.#random.below(20_000) : 0;
    return encode.encodeTransferToHost2d({ resourceId: this.#resource(), ...this.#box(), offset }, this.#header());
  }

  #attachPages(): Uint8Array {
    const nrEntries = this.#random.once(20) ? { nrEntries: this.#random.below(20_000) } : {};
    const entries = this.#entries(this.#random.once(3) ? 64 * PAGE : PAGE);
    return encode.encodeAttachBacking({ resourceId: this.#resource(), entries, ...nrEntries }, this.#header());
  }

  #blob(blobMem: number): Uint8Array {
    const random = this.#random;
    const pages = random.once(12) ? random.from(200, 1200) : random.from(1, 12);
    const size = random.once(8) ? random.below(pages * PAGE) : pages * PAGE;
    const blobFlags = random.once(8) ? random.below(9) : random.pick([1, 1, 1, 3, 7]);
    const blobId = random.once(2) ? 0 : random.from(1, 5);
    const entries = blobMem === 2 ? [] : this.#entries(random.once(4) ? PAGE : Math.ceil(size / 4));
    const fields = { resourceId: this.#newResource(), blobMem, blobFlags, blobId, size, entries };
    return encode.encodeResourceCreateBlob(fields, this.#header());
  }

  #transfer3d(): Uint8Array {
    const fields = { resourceId: this.#resource(), w: 1, h: 1, d: 1 };
    return this.#random.once(2)
      ? encode.encodeTransferToHost3d(fields, this.#header())
      : encode.encodeTransferFromHost3d(fields, this.#header());
  }

  #submit(): Uint8Array {
    const random = this.#random;
    return encode.encodeSubmit3d(random.fill(new Uint8Array(random.below(40))), this.#header());
  }

  /** Mostly whole pages in the window, low ones above all, so that mappings meet. */
  #offset(): number {
    const random = this.#random;
    if (random.once(12)) return random.u32();
    if (random.once(12)) return random.below(BUDGET.hostVisible);
    return random.below(random.once(2) ? WINDOW_PAGES : 128) * PAGE;
  }

  /** Pages of the guest, some of them nowhere. */
  #entries(length: number): encode.GuestPiece[] {
    const random = this.#random;
    return Array.from({ length: random.below(MOST_ENTRIES) }, () => {
      const addr = random.once(40) ? this.#strangeAddress() : RAM_GPA + random.below(RAM - length);
      return { addr, length: random.once(30) ? random.below(length) : length };
    });
  }

  #strangeAddress(): number {
    const random = this.#random;
    return random.pick([
      0,
      RAM_GPA - 1,
      RAM_GPA + RAM - 1,
      WINDOW_GPA + random.below(BUDGET.hostVisible),
      2 ** 52 + random.u32(),
    ]);
  }
}
