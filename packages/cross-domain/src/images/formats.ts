/** Pictures in plain memory: rows follow each other without a gap, planes likewise. */

/** One plane of a format: bytes of a sample, and how many pixels it spans. */
interface Plane {
  readonly bytes: number;
  readonly columns: number;
  readonly rows: number;
}

const packed = (bytes: number): readonly Plane[] => [{ bytes, columns: 1, rows: 1 }];

function fourcc(name: string): number {
  return [...name].reduceRight((value, letter) => value * 256 + letter.charCodeAt(0), 0);
}

/** By DRM fourcc (drm_fourcc.h): those that rutabaga's system allocator has. */
const FORMATS = new Map<number, readonly Plane[]>(
  Object.entries({
    'R8  ': packed(1),
    RG16: packed(2),
    BG24: packed(3),
    XR24: packed(4),
    XB24: packed(4),
    AR24: packed(4),
    AB24: packed(4),
    XR30: packed(4),
    XB30: packed(4),
    AR30: packed(4),
    AB30: packed(4),
    AB4H: packed(8),
    NV12: [...packed(1), { bytes: 2, columns: 2, rows: 2 }],
    YV12: [...packed(1), { bytes: 1, columns: 2, rows: 2 }, { bytes: 1, columns: 2, rows: 2 }],
  }).map(([name, planes]) => [fourcc(name), planes]),
);

/** Where the planes of a picture lie. */
export interface ImageLayout {
  /** Bytes of a row, for each plane. */
  readonly strides: readonly number[];
  /** Bytes from the start, for each plane. */
  readonly offsets: readonly number[];
  /** Bytes, not rounded. */
  readonly size: number;
}

const U32_MAX = 0xffff_ffff;

/** @param drmFormat - fourcc @returns null for an unknown format, and for a picture of no or of too many pixels */
export function imageLayout(width: number, height: number, drmFormat: number): ImageLayout | null {
  const planes = FORMATS.get(drmFormat);
  if (planes === undefined || width === 0 || height === 0) return null;
  const strides: number[] = [];
  const offsets: number[] = [];
  let size = 0;
  for (const { bytes, columns, rows } of planes) {
    const stride = Math.ceil(width / columns) * bytes;
    if (stride > U32_MAX || size > U32_MAX) return null;
    strides.push(stride);
    offsets.push(size);
    size += stride * Math.ceil(height / rows);
  }
  return Number.isSafeInteger(size) ? { strides, offsets, size } : null;
}
