/** The checksum that EDID blocks and DisplayID sections share. */

/** Sets the last of `len` bytes so that all of them sum up to 0 (mod 256). */
export function putChecksum(bytes: Uint8Array, offset: number, len: number): void {
  let sum = 0;
  for (let index = offset; index < offset + len - 1; index++) {
    sum += bytes[index]!;
  }
  bytes[offset + len - 1] = -sum & 0xff;
}
