/** Requests as bytes: every encoder fills the fields of one layout. */
import type { ArrayField, NumberField, U64Field } from '@oriel/layout';
import { CtrlHdr } from '../protocol/layout.ts';
import { VIRTIO_GPU_FLAG_FENCE, VIRTIO_GPU_FLAG_INFO_RING_IDX } from '../protocol/values.ts';

/** A fence of a request. */
export interface GpuFence {
  readonly idLo: number;
  /** Default 0. */
  readonly idHi?: number;
  /** The ring of the header's context; absent: the global timeline. */
  readonly ringIdx?: number;
}

/** What a request's header says besides its type. */
export interface GpuHeader {
  /** Default 0. */
  readonly ctxId?: number;
  /** Absent: none. */
  readonly fence?: GpuFence;
}

/** A 64-bit number as two u32. */
export interface Parts64 {
  readonly lo: number;
  readonly hi: number;
}

/** Values for fields of a layout, by name; what is absent stays 0. */
export type GpuFields = Readonly<Record<string, number | Parts64 | readonly number[] | Uint8Array>>;

interface AnyLayout {
  readonly byteLength: number;
  readonly structName: string;
}

/**
 * A request: the header, then `fields` of `layout`, then `tail`.
 * @throws RangeError for a field that the layout has not
 */
export function encodeRequest(
  type: number,
  layout: AnyLayout,
  fields: GpuFields,
  header: GpuHeader = {},
  tail: Uint8Array | null = null,
): Uint8Array {
  const bytes = new Uint8Array(layout.byteLength + (tail?.length ?? 0));
  const view = new DataView(bytes.buffer);
  const { ctxId = 0, fence } = header;
  CtrlHdr.type.set(view, 0, type);
  CtrlHdr.ctxId.set(view, 0, ctxId);
  if (fence !== undefined) {
    const { idLo, idHi = 0, ringIdx } = fence;
    const ring = ringIdx === undefined ? 0 : VIRTIO_GPU_FLAG_INFO_RING_IDX;
    CtrlHdr.flags.set(view, 0, VIRTIO_GPU_FLAG_FENCE | ring);
    CtrlHdr.fenceId.setParts(view, 0, idLo, idHi);
    CtrlHdr.ringIdx.set(view, 0, ringIdx ?? 0);
  }
  for (const [name, value] of Object.entries(fields)) {
    const field = (layout as unknown as Record<string, NumberField | U64Field | ArrayField | undefined>)[name];
    if (field === undefined) throw new RangeError(`struct ${layout.structName} has no field ${name}`);
    if (value instanceof Uint8Array) bytes.set(value.subarray(0, field.size), field.offset);
    else if (typeof value === 'number') (field as NumberField).set(view, 0, value);
    else if ('lo' in value) (field as U64Field).setParts(view, 0, value.lo, value.hi);
    else for (const [index, item] of value.entries()) (field as ArrayField).set(view, 0, index, item);
  }
  if (tail !== null) bytes.set(tail, layout.byteLength);
  return bytes;
}
