/** Columns of tables by slot: typed arrays that are made longer when more slots are needed. */

type Column = Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** A longer copy of a column. @param filling - what stands behind it, by default zeros */
export function grown<C extends Column>(column: C, length: number, filling = 0): C {
  const Kind = column.constructor as new (length: number) => C;
  const longer = new Kind(length);
  longer.set(column);
  // Zeros are there already, in memory that is not taken before it is written.
  if (filling !== 0) longer.fill(filling, column.length);
  return longer;
}
