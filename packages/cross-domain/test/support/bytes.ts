/** Commands written by hand: offsets and values as the reference has them, so that a slip in `layout.ts` shows. */

export const INIT = 1;
export const GET_IMAGE_REQUIREMENTS = 2;
export const POLL = 3;
export const SEND = 4;
export const WRITE = 7;

/** u32 values by their offsets. */
export type Words = Readonly<Record<number, number>>;

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** `size` bytes with u32 at offsets. */
export function bytesOf(size: number, words: Words, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(size + data.length);
  const view = new DataView(bytes.buffer);
  for (const [offset, value] of Object.entries(words)) view.setUint32(Number(offset), value, true);
  bytes.set(data, size);
  return bytes;
}

/** A command: cmd u8 @0, ring_idx u8 @1, cmd_size u16 @2, pad u32 @4. */
export function command(
  cmd: number,
  size: number,
  words: Words = {},
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = bytesOf(size, words, data);
  bytes[0] = cmd;
  new DataView(bytes.buffer).setUint16(2, bytes.length, true);
  return bytes;
}

export interface Identifier {
  readonly id: number;
  readonly type: number;
  readonly size?: number;
}

/** num_identifiers @8, opaque_data_size @12, then three arrays of `n` u32: ids @16, types @16+4n, sizes @16+8n. */
export function messageWords(n: number, ids: readonly Identifier[], dataSize: number): Words {
  const words: Record<number, number> = { 8: ids.length, 12: dataSize };
  for (const [index, { id, type, size = 0 }] of ids.entries()) {
    words[16 + 4 * index] = id;
    words[16 + 4 * n + 4 * index] = type;
    words[16 + 8 * n + 4 * index] = size;
  }
  return words;
}

export function sendCommand(data: Uint8Array, ids: readonly Identifier[] = [], n = 28): Uint8Array {
  return command(SEND, 16 + 12 * n, messageWords(n, ids, data.length), data);
}

/** What a guest finds: cmd 5, all else of the header 0. */
export function receiveBytes(data: Uint8Array, ids: readonly Identifier[] = [], n = 28): Uint8Array {
  const bytes = bytesOf(16 + 12 * n, messageWords(n, ids, data.length), data);
  bytes[0] = 5;
  return bytes;
}

/** READ: id @8, hang_up @12, size @16, pad @20. */
export function readBytes(id: number, data: Uint8Array, hangUp = 0): Uint8Array {
  const bytes = bytesOf(24, { 8: id, 12: hangUp, 16: data.length }, data);
  bytes[0] = 6;
  return bytes;
}

export function writeCommand(id: number, data: Uint8Array, hangUp = 0): Uint8Array {
  return command(WRITE, 24, { 8: id, 12: hangUp, 16: data.length }, data);
}

export const pollCommand = command(POLL, 16);

/** width @8, height @12, fourcc @16, flags @20. */
export function imageCommand(width: number, height: number, fourcc: string, flags = 0): Uint8Array {
  const format = new DataView(text(fourcc).buffer).getUint32(0, true);
  return command(GET_IMAGE_REQUIREMENTS, 24, { 8: width, 12: height, 16: format, 20: flags });
}
