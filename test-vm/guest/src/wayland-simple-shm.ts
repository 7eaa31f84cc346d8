/** What weston-simple-shm draws: stripes, a ring and circles that move with the time that the compositor tells. */
import type { Picture } from './picture.ts';

/** Its window. */
export const SIMPLE_SHM = { width: 250, height: 250 } as const;

/** White around the drawing. */
const MARGIN = 20;
const WHITE = 0xffffff;
/** A step of the animation is so many of these; odd, so that it has an inverse modulo 2^24. */
const STEP = 0x080401;

function color(steps: number): number {
  return Math.imul(steps, STEP) & 0xffffff;
}

/** How many steps give a colour, modulo 2^24. */
function stepsOf(wanted: number): number {
  let inverse = 1;
  // Newton: each round doubles the bits that are right.
  for (let round = 0; round < 5; round++) inverse = Math.imul(inverse, 2 - Math.imul(STEP, inverse));
  return Math.imul(wanted, inverse) & 0xffffff;
}

interface Place {
  readonly left: number;
  readonly top: number;
}

/** Which part of the drawing a pixel belongs to, and its own share of the steps. */
function partOf(x: number, y: number): readonly ['circles' | 'ring' | 'stripes', number] {
  const { width, height } = SIMPLE_SHM;
  const radius = Math.min(width, height) / 2 - 8;
  const square = (x - width / 2) ** 2 + (y - height / 2) ** 2;
  if (square < (radius - 32) ** 2) return ['circles', Math.floor(square / 32)];
  return square < radius ** 2 ? ['ring', y] : ['stripes', x];
}

/**
 * Compares a part of a picture with the drawing at whatever moment it was made.
 * @returns undefined when each pixel is right, else what is wrong first
 */
export function simpleShmDifference({ pixels, width: line }: Picture, { left, top }: Place): string | undefined {
  const { width, height } = SIMPLE_SHM;
  const at = (x: number, y: number): number => pixels[(top + y) * line + left + x]!;
  const moment = (x: number, y: number): number => (stepsOf(at(x, y)) - partOf(x, y)[1]) & 0xffffff;
  const steps = {
    stripes: moment(MARGIN, MARGIN),
    ring: moment(MARGIN, height / 2),
    circles: moment(width / 2, height / 2),
  };
  // One clock moves them all, at speeds of 4, 2 and 1.
  const clock = [steps.stripes >> 2, (steps.ring >> 1) & 0x3fffff, steps.circles & 0x3fffff];
  if (new Set(clock).size !== 1) return `its parts are of different moments: ${clock.join(' ')}`;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const drawn = x >= MARGIN && y >= MARGIN && x < width - MARGIN && y < height - MARGIN;
      const [part, own] = partOf(x, y);
      const wanted = drawn ? color(own + steps[part]) : WHITE;
      if (at(x, y) === wanted) continue;
      return `(${x}, ${y}) is ${at(x, y).toString(16)}, wanted ${wanted.toString(16)}`;
    }
  }
  return undefined;
}
