/**
 * The in-flight area of a queue: shared memory where it writes down which chains the device has, so that a device started
 * anew after a kill goes on with them (vhost-user, "Inflight I/O tracking"; `QueueConfig.inflight`).
 *
 * The order of its stores is the whole of it. A kill stops the thread between two instructions: every store before is
 * done, none behind it is, and who recovers comes later by a system call, so no cache or store buffer shows him another order
 * than that of the machine code. That is the order written here: V8 keeps stores to typed arrays as they stand (each is an
 * effect of its own, none is merged, dropped or moved over another), and a call of native code or an `Atomics` operation is
 * passed by none of them. Where two values must change at once, they stand in one word and are stored as one.
 *
 * The area is written only, after it was read once, at the start: the front-end can write there too.
 */
import { VirtqueueError } from './errors.ts';
import { INFLIGHT_VERSION } from './layout.ts';
import { inflightBytes } from './ring-size.ts';

/** Views over exactly the area. */
export interface InflightArea {
  readonly view: DataView;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

/** @throws VirtqueueError ERR_VIRTQ_INFLIGHT for one that is too short or not aligned to 8 */
export function openInflightArea(area: Uint8Array, packed: boolean, queue: number, size: number): InflightArea {
  const { buffer, byteOffset } = area;
  const bytes = inflightBytes(packed, size);
  if (area.length < bytes) throw inflightError(queue, `area of ${area.length} bytes, want ${bytes}`);
  if (byteOffset % 8 !== 0) throw inflightError(queue, `area at offset ${byteOffset}, want a multiple of 8`);
  return {
    view: new DataView(buffer, byteOffset, bytes),
    u8: new Uint8Array(buffer, byteOffset, bytes),
    u16: new Uint16Array(buffer, byteOffset, bytes / 2),
    u32: new Uint32Array(buffer, byteOffset, bytes / 4),
  };
}

/** What the head of both formats begins with. */
interface InflightHeader {
  readonly features: { get(view: DataView, base: number): number };
  readonly version: { get(view: DataView, base: number): number };
  readonly descNum: { get(view: DataView, base: number): number };
}

/**
 * True for an area that no device has used.
 * @throws VirtqueueError ERR_VIRTQ_INFLIGHT for one that is used, but not as this version does, or by another ring
 */
export function isNewArea(area: InflightArea, header: InflightHeader, queue: number, size: number): boolean {
  const version = header.version.get(area.view, 0);
  if (version === 0) return true;
  const features = header.features.get(area.view, 0);
  const descNum = header.descNum.get(area.view, 0);
  if (version === INFLIGHT_VERSION && features === 0 && descNum === size) return false;
  throw inflightError(
    queue,
    `area of version ${version}, features ${features}, ${descNum} entries; want 1, 0, ${size}`,
  );
}

/** The area holds what no device can have left there, or what is none of this ring. */
export function inflightError(queue: number, detail: string): VirtqueueError {
  return new VirtqueueError('ERR_VIRTQ_INFLIGHT', 'frontend', `queue ${queue}: ${detail}`, { queue });
}
