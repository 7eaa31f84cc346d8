/** A test picture: colour bars, a grey ramp, and circles that show whether pixels are square and rows in order. */
import { BYTES_PER_PIXEL } from '@oriel/gpu-blob';

/** Red, green and blue of each bar. */
const BARS = [0xffffff, 0xffff00, 0x00ffff, 0x00ff00, 0xff00ff, 0xff0000, 0x0000ff, 0x000000] as const;
const BARS_SHARE = 0.7;
const RING_STEP = 24;
const RING_WIDTH = 4;
const RINGS_SHARE = 0.32;

/** @returns rows of pixels in the byte order B, G, R, X */
export function testPicture(width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height * BYTES_PER_PIXEL);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const rgb = colour(x, y, width, height);
      const at = (y * width + x) * BYTES_PER_PIXEL;
      pixels[at] = rgb & 0xff;
      pixels[at + 1] = (rgb >> 8) & 0xff;
      pixels[at + 2] = rgb >> 16;
    }
  }
  return pixels;
}

function colour(x: number, y: number, width: number, height: number): number {
  const bars = y < height * BARS_SHARE;
  const grey = Math.floor((x * 256) / width);
  const plain = bars ? BARS[Math.floor((x * BARS.length) / width)]! : grey * 0x01_01_01;
  const radius = Math.hypot(x - width / 2, y - height / 2);
  const onRing = radius < height * RINGS_SHARE && radius % RING_STEP < RING_WIDTH;
  return onRing ? plain ^ 0xff_ff_ff : plain;
}
