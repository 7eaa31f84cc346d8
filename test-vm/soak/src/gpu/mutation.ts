/** Breaks a command that was good. */
import type { Xorshift } from '../random.ts';

const WORDS = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x20_0000, 4096, 16385];
const WORD = 4;
const MOST_RANDOM = 200;
const MOST_ADDED = 100;
const FIRST_TYPE = 0x0fe;
const TYPES = 0x110;

/** The command with one to three things wrong with it. */
export function mutated(command: Uint8Array, random: Xorshift): Uint8Array {
  let bytes: Uint8Array = command.slice();
  for (let times = random.from(1, 3); times > 0; times--) bytes = once(bytes, random);
  return bytes;
}

/** No command at all. */
export function noise(random: Xorshift): Uint8Array {
  return random.fill(new Uint8Array(random.below(MOST_RANDOM)));
}

function once(bytes: Uint8Array, random: Xorshift): Uint8Array {
  const view = new DataView(bytes.buffer);
  switch (random.below(6)) {
    case 0:
      return bytes.slice(0, random.below(bytes.length + 1));
    case 1: {
      const longer = new Uint8Array(bytes.length + random.from(1, MOST_ADDED));
      longer.set(bytes);
      return longer;
    }
    case 2:
      if (bytes.length >= WORD) view.setUint32(0, FIRST_TYPE + random.below(TYPES), true);
      return bytes;
    case 3:
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.u32();
      return bytes;
    default:
      if (bytes.length >= WORD) view.setUint32(WORD * random.below(bytes.length >> 2), random.pick(WORDS), true);
      return bytes;
  }
}
