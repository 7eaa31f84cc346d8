/** Sizes of outputs as people write them. */
import type { OutputSize } from '@oriel/gpu-blob';
import { CliError } from './cli-error.ts';

const LEAST = 16;
const MOST = 16384;
/** What a guest is told of an output that nobody ever gave a size. */
const USUAL = { width: 1280, height: 800 };

/** One output: '1280x800', or 'off' for one with nothing plugged in. @throws CliError */
export function parseOutput(name: string, given: string): OutputSize {
  if (given === 'off') {
    return { ...USUAL, enabled: false };
  }
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(given);
  const [width, height] = match === null ? [0, 0] : [Number(match[1]), Number(match[2])];
  if (!isSide(width) || !isSide(height)) {
    throw new CliError(
      `--${name}: '${given}': give a size such as 1280x800, ${LEAST} to ${MOST} pixels a side, or off`,
    );
  }
  return { width, height };
}

function isSide(pixels: number): boolean {
  return pixels >= LEAST && pixels <= MOST;
}
