/**
 * The kinds of field that a layout can have. Every format that Oriel touches is little-endian, or native-endian on a
 * little-endian host (checked once in `struct.ts`), so one set of kinds serves both.
 */

/** 2^32, the weight of the high word of a 64-bit value. */
export const TWO_32 = 0x1_0000_0000;

export interface NumberField {
  /** Bytes from the start of the structure. */
  readonly offset: number;
  /** Size in bytes. */
  readonly size: number;
  /** Reads the field of the structure that starts at byte `base` of `view`. */
  get(view: DataView, base: number): number;
  /** Writes the field of the structure that starts at byte `base` of `view`. */
  set(view: DataView, base: number, value: number): void;
}

/**
 * A 64-bit unsigned field. `get` gives `hi * 2^32 + lo`: exact when hi < 2^21; a larger value is rounded and always
 * above `Number.MAX_SAFE_INTEGER`, so a range check refuses it. Values that use all 64 bits are moved by `lo` and `hi`.
 */
export interface U64Field extends NumberField {
  lo(view: DataView, base: number): number;
  hi(view: DataView, base: number): number;
  setParts(view: DataView, base: number, lo: number, hi: number): void;
}

/** A run of bytes: a name, padding, or a nested structure read by its own layout. */
export interface BytesField {
  readonly offset: number;
  readonly size: number;
}

/** A fixed array of numbers. */
export interface ArrayField {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
  get(view: DataView, base: number, index: number): number;
  set(view: DataView, base: number, index: number, value: number): void;
}

/** What a kind makes of an offset. */
export interface Kind<F> {
  readonly size: number;
  readonly align: number;
  at(offset: number): F;
}

const U64_AT = (offset: number): U64Field => ({
  offset,
  size: 8,
  get: (view, base) => view.getUint32(base + offset + 4, true) * TWO_32 + view.getUint32(base + offset, true),
  set: (view, base, value) => {
    view.setUint32(base + offset, value % TWO_32, true);
    view.setUint32(base + offset + 4, Math.floor(value / TWO_32), true);
  },
  lo: (view, base) => view.getUint32(base + offset, true),
  hi: (view, base) => view.getUint32(base + offset + 4, true),
  setParts: (view, base, lo, hi) => {
    view.setUint32(base + offset, lo, true);
    view.setUint32(base + offset + 4, hi, true);
  },
});

export const U8: Kind<NumberField> = {
  size: 1,
  align: 1,
  at: (offset) => ({
    offset,
    size: 1,
    get: (view, base) => view.getUint8(base + offset),
    set: (view, base, value) => view.setUint8(base + offset, value),
  }),
};

export const U16: Kind<NumberField> = {
  size: 2,
  align: 2,
  at: (offset) => ({
    offset,
    size: 2,
    get: (view, base) => view.getUint16(base + offset, true),
    set: (view, base, value) => view.setUint16(base + offset, value, true),
  }),
};

export const U32: Kind<NumberField> = {
  size: 4,
  align: 4,
  at: (offset) => ({
    offset,
    size: 4,
    get: (view, base) => view.getUint32(base + offset, true),
    set: (view, base, value) => view.setUint32(base + offset, value, true),
  }),
};

export const I32: Kind<NumberField> = {
  size: 4,
  align: 4,
  at: (offset) => ({
    offset,
    size: 4,
    get: (view, base) => view.getInt32(base + offset, true),
    set: (view, base, value) => view.setInt32(base + offset, value, true),
  }),
};

export const U64: Kind<U64Field> = { size: 8, align: 8, at: U64_AT };

/** `count` bytes with no reader of their own: names, padding, nested structures (give the alignment of the latter). */
export function bytes(count: number, align = 1): Kind<BytesField> {
  return { size: count, align, at: (offset) => ({ offset, size: count }) };
}

/** Padding, named so that a table shows every byte. */
export function pad(count: number): Kind<BytesField> {
  return bytes(count);
}

/** `count` numbers of one kind. */
export function array(kind: Kind<NumberField>, count: number): Kind<ArrayField> {
  return {
    size: kind.size * count,
    align: kind.align,
    at: (offset) => {
      const first = kind.at(offset);
      const step = kind.size;
      return {
        offset,
        size: step * count,
        count,
        get: (view, base, index) => first.get(view, base + index * step),
        set: (view, base, index, value) => first.set(view, base + index * step, value),
      };
    },
  };
}
