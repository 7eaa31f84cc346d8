/** Contents that tell where they came from, and errors as their codes. */
import { createHash } from 'node:crypto';
import { SysError } from '@oriel/sys';

/** Bytes that differ from page to page and from seed to seed. */
export function pattern(len: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(len);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(len / 4));
  let state = (seed * 0x9e37_79b1) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  for (let i = words.length * 4; i < len; i++) bytes[i] = i * 31 + seed;
  return bytes;
}

/** A digest, so that a failing comparison of megabytes prints a line. */
export function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

/** The errno that a call throws as a SysError; 0 when it succeeds. */
export function errnoOf(call: () => void): number {
  try {
    call();
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
  return 0;
}

/** The `code` of the error that a call throws; '' when it succeeds. */
export function codeOf(call: () => void): string {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return '';
}
