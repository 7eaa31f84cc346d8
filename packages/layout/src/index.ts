/**
 * Binary layouts described once.
 * @packageDocumentation
 */
export type { ArrayField, BytesField, Kind, NumberField, U64Field } from './kinds.ts';
export { array, bytes, I32, pad, TWO_32, U8, U16, U32, U64 } from './kinds.ts';
export type { Layout, StructOptions } from './struct.ts';
export { struct } from './struct.ts';
export { fromParts, isSafeUnsigned, rangeFits, toBigInt, UNSAFE_HI } from './u64.ts';
