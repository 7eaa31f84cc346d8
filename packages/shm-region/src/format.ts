/** Sizes and offsets as people read them. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `2097152` as `2 MiB`, `2099200` as `2050 KiB`: the largest unit that needs no fraction. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value !== 0 && value % 1024 === 0 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value} ${UNITS[unit]}`;
}

/** An offset in hexadecimal: `0x200000`. */
export function formatOffset(offset: number): string {
  return `0x${offset.toString(16)}`;
}
