/**
 * Where a running soak is: eight bytes of a file, written at the start of each round and read by whoever started the soak,
 * so that they are there after a hang and after a crash.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** The round that a soak is in. */
export interface RoundPlace {
  /** A run with this seed begins with that round. */
  readonly seed: number;
  readonly round: number;
}

/** Seed and number, a u32 each. */
const BYTES = 8;

/** Writes the place down. */
export class Progress implements Disposable {
  readonly #fd: number;
  readonly #bytes = new Uint8Array(BYTES);
  readonly #words = new Uint32Array(this.#bytes.buffer);

  /** Makes the file. */
  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  begin({ seed, round }: RoundPlace): void {
    this.#words[0] = seed;
    this.#words[1] = round;
    writeSync(this.#fd, this.#bytes, 0, BYTES, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** Reads what a `Progress` wrote; null when no round began. */
export function readProgress(path: string): RoundPlace | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return null;
  }
  return bytes.length < BYTES ? null : { seed: bytes.readUInt32LE(0), round: bytes.readUInt32LE(4) };
}
