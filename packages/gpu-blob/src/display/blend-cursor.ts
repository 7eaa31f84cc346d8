/** Draws a cursor over a picture. */
import { BYTES_PER_PIXEL, CURSOR_SIZE } from '../protocol/values.ts';
import type { CursorState, Frame } from './framebuffers.ts';

const OPAQUE = 255;
const ALPHA = 3;

/** Changes `frame`: premultiplied colours, so each is the cursor's plus what its alpha leaves of the picture's. */
export function blendCursor(frame: Frame, cursor: CursorState): void {
  const left = Math.max(0, -cursor.x);
  const top = Math.max(0, -cursor.y);
  const right = Math.min(CURSOR_SIZE, frame.width - cursor.x);
  const bottom = Math.min(CURSOR_SIZE, frame.height - cursor.y);
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const from = (row * CURSOR_SIZE + column) * BYTES_PER_PIXEL;
      const to = ((cursor.y + row) * frame.width + cursor.x + column) * BYTES_PER_PIXEL;
      blendPixel(frame.pixels, to, cursor.image, from);
    }
  }
}

function blendPixel(pixels: Uint8Array, to: number, image: Uint8Array, from: number): void {
  const rest = OPAQUE - image[from + ALPHA]!;
  for (let colour = 0; colour < ALPHA; colour++) {
    const under = Math.round((pixels[to + colour]! * rest) / OPAQUE);
    pixels[to + colour] = Math.min(OPAQUE, image[from + colour]! + under);
  }
}
