/** `struct()`: a binary layout as a table; offsets, sizes, readers and writers all come from it. */
import type { Kind } from './kinds.ts';

// biome-ignore lint/suspicious/noExplicitAny: any kind of field may stand in a table
type Shape = Readonly<Record<string, Kind<any>>>;

/** The layout of a structure: its size and one field object for each name of the table. */
export type Layout<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Kind<infer F> ? F : never;
} & { readonly byteLength: number; readonly structName: string; readonly fieldNames: readonly (keyof S & string)[] };

export interface StructOptions {
  /** Fields follow each other without regard to alignment. */
  readonly packed?: boolean;
}

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) {
  throw new Error('oriel needs a little-endian host');
}

/**
 * Describes a structure. Fields stand at the sum of the sizes before them; padding must be named.
 * @param name - the C name, for tests and messages
 * @throws TypeError when a field is not at a multiple of its alignment (unless `packed`), or uses a reserved name
 */
export function struct<const S extends Shape>(name: string, shape: S, options: StructOptions = {}): Layout<S> {
  let offset = 0;
  const fields: Record<string, unknown> = {};
  for (const [field, kind] of Object.entries(shape)) {
    if (field === 'byteLength' || field === 'structName' || field === 'fieldNames') {
      throw new TypeError(`struct ${name}: the field name ${field} is reserved`);
    }
    if (!options.packed && offset % kind.align !== 0) {
      throw new TypeError(
        `struct ${name}: ${field} at offset ${offset} needs alignment ${kind.align}; name the padding`,
      );
    }
    fields[field] = kind.at(offset);
    offset += kind.size;
  }
  return Object.freeze({
    ...fields,
    byteLength: offset,
    structName: name,
    fieldNames: Object.freeze(Object.keys(shape)),
  }) as unknown as Layout<S>;
}
