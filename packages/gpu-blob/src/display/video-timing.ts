/** Timings of a display mode, in the manner of VESA CVT with reduced blanking. */

/** One mode. Sizes in pixels and lines; the sync pulse begins `front` after the picture. */
export interface VideoTiming {
  /** Pixel clock in units of 10 kHz, rounded: what EDID and DisplayID both store. */
  readonly clock10kHz: number;
  readonly width: number;
  readonly hBlank: number;
  readonly hFront: number;
  readonly hSync: number;
  readonly height: number;
  readonly vBlank: number;
  readonly vFront: number;
  readonly vSync: number;
}

const CLOCK_UNIT_HZ = 10_000;
const H_BLANK = 160;
const H_FRONT = 48;
const H_SYNC = 32;
const V_FRONT = 3;
const MIN_V_BACK = 6;
/** Shortest vertical blanking, seconds. */
const MIN_V_BLANK_SECONDS = 460e-6;
/** Decoders take a slower clock for rubbish, so a tiny mode gets more blanking. */
const MIN_CLOCK_HZ = 10_000_000;
const OTHER_ASPECT_V_SYNC = 10;
/** CVT tells the aspect ratio by the lines of the vertical sync. */
const V_SYNC_BY_ASPECT = [
  [4, 3, 4],
  [16, 9, 5],
  [16, 10, 6],
  [5, 4, 7],
  [15, 9, 7],
] as const;

function verticalSync(width: number, height: number): number {
  for (const [across, down, lines] of V_SYNC_BY_ASPECT) {
    if (width * down === height * across) {
      return lines;
    }
  }
  return OTHER_ASPECT_V_SYNC;
}

/**
 * Timing of a mode; unlike CVT the width is not rounded to cells of 8 pixels, so that any window size is exact.
 * @param width - pixels, 1 and up
 * @param height - lines, 1 and up
 */
export function reducedBlanking(width: number, height: number, refreshHz: number): VideoTiming {
  const vSync = verticalSync(width, height);
  const lineSeconds = (1 / refreshHz - MIN_V_BLANK_SECONDS) / height;
  const vBlank = Math.max(
    Math.floor(MIN_V_BLANK_SECONDS / lineSeconds) + 1,
    V_FRONT + vSync + MIN_V_BACK,
    Math.ceil(MIN_CLOCK_HZ / refreshHz / (width + H_BLANK)) - height,
  );
  return {
    clock10kHz: Math.round(((width + H_BLANK) * (height + vBlank) * refreshHz) / CLOCK_UNIT_HZ),
    width,
    hBlank: H_BLANK,
    hFront: H_FRONT,
    hSync: H_SYNC,
    height,
    vBlank,
    vFront: V_FRONT,
    vSync,
  };
}

/** Pictures a second. */
export function refreshHz(timing: VideoTiming): number {
  return (timing.clock10kHz * CLOCK_UNIT_HZ) / ((timing.width + timing.hBlank) * (timing.height + timing.vBlank));
}

/** Lines a second, in kHz. */
export function lineRateKhz(timing: VideoTiming): number {
  return (timing.clock10kHz * CLOCK_UNIT_HZ) / (timing.width + timing.hBlank) / 1000;
}
