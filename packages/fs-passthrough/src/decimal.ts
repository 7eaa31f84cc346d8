/** Numbers as text in native memory. */

const ASCII_ZERO = 0x30;

/** Writes a whole number >= 0 as decimal digits and a NUL at `bytes[at]`; allocates nothing. */
export function writeDecimal(bytes: Uint8Array, at: number, value: number): void {
  let unit = 1;
  while (unit * 10 <= value) {
    unit *= 10;
  }
  let index = at;
  let rest = value;
  for (; unit >= 1; unit = Math.floor(unit / 10)) {
    const digit = Math.floor(rest / unit);
    bytes[index++] = ASCII_ZERO + digit;
    rest -= digit * unit;
  }
  bytes[index] = 0;
}
