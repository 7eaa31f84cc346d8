/** Pictures as PNG files. */
import { encode } from 'fast-png';
import type { Frame } from '../device-module.ts';

const RGB = 3;

/** Opaque RGB, since the fourth byte of a display's pixel means nothing. */
export function encodePng({ width, height, pixels }: Pick<Frame, 'width' | 'height' | 'pixels'>): Uint8Array {
  const data = new Uint8Array(width * height * RGB);
  for (let from = 0, to = 0; to < data.length; from += 4, to += RGB) {
    data[to] = pixels[from + 2]!;
    data[to + 1] = pixels[from + 1]!;
    data[to + 2] = pixels[from]!;
  }
  return encode({ width, height, data, channels: RGB });
}
