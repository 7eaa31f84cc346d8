/** Messages made by us. */
import type { Message } from './interfaces.ts';
import { MAX_MESSAGE_LEN, WlHeader } from './layout.ts';

const encoder = new TextEncoder();

/** The value of an argument; descriptors have none and are left out. */
export type ArgumentValue = number | string | Uint8Array;

/** Adds the NUL that a string ends in. */
function terminated(text: string): Uint8Array {
  return encoder.encode(`${text}\0`);
}

/**
 * The bytes of a message.
 * @param values - in the order of the arguments, without those that are descriptors; a null string cannot be said
 * @throws RangeError for values that do not fit the shape, or a message too long
 */
export function encodeMessage(
  objectId: number,
  opcode: number,
  message: Message,
  values: readonly ArgumentValue[],
): Uint8Array {
  const wanted = message.args.filter(({ kind }) => kind !== 'h');
  if (values.length !== wanted.length) throw new RangeError(`${message.name} takes ${wanted.length} values`);
  const parts = values.map((value) => (typeof value === 'string' ? terminated(value) : value));
  const size = parts.reduce<number>(
    (sum, part) => sum + 4 + (typeof part === 'number' ? 0 : (part.length + 3) & ~3),
    WlHeader.byteLength,
  );
  if (size > MAX_MESSAGE_LEN) throw new RangeError(`${message.name} of ${size} bytes is too long`);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  WlHeader.objectId.set(view, 0, objectId);
  WlHeader.opcode.set(view, 0, opcode);
  WlHeader.size.set(view, 0, size);
  let at = WlHeader.byteLength;
  for (const part of parts) {
    if (typeof part === 'number') {
      view.setUint32(at, part >>> 0, true);
      at += 4;
    } else {
      view.setUint32(at, part.length, true);
      bytes.set(part, at + 4);
      at += 4 + ((part.length + 3) & ~3);
    }
  }
  return bytes;
}
