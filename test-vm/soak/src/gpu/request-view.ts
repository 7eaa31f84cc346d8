/** A request as the rules read it: bytes, with no trust in any of them. */
import {
  CtrlHdr,
  MemEntry,
  VIRTIO_GPU_FLAG_FENCE,
  VIRTIO_GPU_FLAG_INFO_RING_IDX,
  VIRTIO_GPU_MAX_RINGS,
} from '@oriel/gpu-blob';
import { RAM_GPA, WINDOW_GPA } from '@oriel/test-vm-loopback';
import { BUDGET, RAM } from './gpu-server.ts';

interface Field {
  get(view: DataView, base: number): number;
}

/** Guest pages that a request names. */
export interface NamedPages {
  /** True; false: not in guest memory, or the list is too short or too long; null: partly in the window, where mappings come and go. */
  readonly valid: boolean | null;
  /** Bytes. */
  readonly size: number;
}

const MOST_ENTRIES = 16384;

export class RequestView {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get whole(): boolean {
    return this.bytes.length >= CtrlHdr.byteLength;
  }

  get type(): number {
    return this.whole ? this.get(CtrlHdr.type) : 0;
  }

  get ctxId(): number {
    return this.get(CtrlHdr.ctxId);
  }

  get fenced(): boolean {
    return this.whole && (this.get(CtrlHdr.flags) & VIRTIO_GPU_FLAG_FENCE) !== 0;
  }

  /** It is on a ring that cannot be. */
  get badRing(): boolean {
    const onRing = this.whole && (this.get(CtrlHdr.flags) & VIRTIO_GPU_FLAG_INFO_RING_IDX) !== 0;
    return onRing && this.get(CtrlHdr.ringIdx) >= VIRTIO_GPU_MAX_RINGS;
  }

  get(field: Field): number {
    return field.get(this.#view, 0);
  }

  word(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** The entries behind `start`. */
  pages(start: number, count: number): NamedPages {
    const size = MemEntry.byteLength;
    if (count > MOST_ENTRIES || start + count * size > this.bytes.length) return { valid: false, size: 0 };
    let total = 0;
    let valid: boolean | null = true;
    for (let at = start; at < start + count * size; at += size) {
      const gpa = MemEntry.addr.get(this.#view, at);
      const len = MemEntry.length.get(this.#view, at);
      if (len === 0) continue;
      total += len;
      if (gpa >= RAM_GPA && gpa + len <= RAM_GPA + RAM) continue;
      const inWindow = gpa < WINDOW_GPA + BUDGET.hostVisible && gpa + len > WINDOW_GPA;
      if (!inWindow) return { valid: false, size: 0 };
      valid = null;
    }
    return { valid, size: total };
  }
}
