/** Pictures in memory, from PNG files, and what two of them differ in. */
import { decode } from 'fast-png';
import { cursorPixel, picturePixel } from './pattern.ts';

/** Pixels as 0xRRGGBB, row after row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/** Reads a PNG of 8 bits a channel; alpha is left out. @throws Error for another depth or a palette */
export function readPng(bytes: Uint8Array): Picture {
  const { width, height, channels, depth, data, palette } = decode(bytes);
  if (depth !== 8 || channels < 3 || palette !== undefined) throw new Error(`a PNG of ${channels} x ${depth} bits`);
  const pixels = new Uint32Array(width * height);
  for (let i = 0, at = 0; i < pixels.length; i++, at += channels) {
    pixels[i] = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
  }
  return { width, height, pixels };
}

/** The picture that the `kms` and `fbpaint` probes draw for a seed. */
export function patternPicture(width: number, height: number, seed: number): Picture {
  const picture = { width, height, pixels: new Uint32Array(width * height) };
  paintPattern(picture, { x: 0, y: 0, width, height }, seed);
  return picture;
}

/** Draws a part anew, as the probe's `rect` does. */
export function paintPattern(
  picture: Picture,
  part: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  seed: number,
): void {
  for (let y = part.y; y < part.y + part.height; y++) {
    for (let x = part.x; x < part.x + part.width; x++) {
      picture.pixels[y * picture.width + x] = picturePixel(seed, x, y);
    }
  }
}

/** A copy with a cursor image of a seed drawn in, its corner at (x, y), cut at the borders. */
export function withCursor(picture: Picture, x: number, y: number, seed: number): Picture {
  const pixels = picture.pixels.slice();
  for (let row = 0; row < 64; row++) {
    for (let column = 0; column < 64; column++) {
      const [toX, toY] = [x + column, y + row];
      if (toX < 0 || toY < 0 || toX >= picture.width || toY >= picture.height) continue;
      pixels[toY * picture.width + toX] = cursorPixel(seed, column, row);
    }
  }
  return { ...picture, pixels };
}

/** In words, how a picture differs from the expected one; undefined when it does not. */
export function pictureDifference(picture: Picture, expected: Picture): string | undefined {
  if (picture.width !== expected.width || picture.height !== expected.height) {
    return `${picture.width} x ${picture.height} instead of ${expected.width} x ${expected.height}`;
  }
  let wrong = 0;
  let first = -1;
  for (let i = 0; i < expected.pixels.length; i++) {
    if (picture.pixels[i] === expected.pixels[i]) continue;
    if (wrong++ === 0) first = i;
  }
  if (wrong === 0) return undefined;
  const hex = (pixel: number) => pixel.toString(16).padStart(6, '0');
  const where = `(${first % expected.width}, ${Math.floor(first / expected.width)})`;
  return `${wrong} pixels, the first at ${where}: ${hex(picture.pixels[first]!)} for ${hex(expected.pixels[first]!)}`;
}

/** A part of a picture. */
export function cutOut(
  picture: Picture,
  part: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
): Picture {
  const pixels = new Uint32Array(part.width * part.height);
  for (let row = 0; row < part.height; row++) {
    const from = (part.y + row) * picture.width + part.x;
    pixels.set(picture.pixels.subarray(from, from + part.width), row * part.width);
  }
  return { width: part.width, height: part.height, pixels };
}
