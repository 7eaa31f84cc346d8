/** The 18-byte descriptors of an EDID base block (VESA E-EDID 1.4, 3.10). */
import { lineRateKhz, refreshHz, type VideoTiming } from './video-timing.ts';

const BYTES = 18;
const TAG_OFFSET = 3;
const TAG_SERIAL = 0xff;
const TAG_RANGE_LIMITS = 0xfd;
const TAG_NAME = 0xfc;
const TAG_DUMMY = 0x10;

/** Separate digital sync, horizontal positive, vertical negative: the mark of reduced blanking. */
const SYNC_FLAGS = 0x1a;

const TEXT_OFFSET = 5;
const TEXT_BYTES = 13;
const NEWLINE = 0x0a;
const SPACE = 0x20;

const ROUNDED_CLOCK_UNITS = 1000;
/** Least and greatest rates said where the modes do not need more: Hz, kHz. */
const USUAL_HZ = [50, 75] as const;
const USUAL_KHZ = [30, 160] as const;
/** In units of 10 MHz: enough for every standard timing. */
const USUAL_CLOCK = 20;
const MAX_BYTE = 255;
/** Adds 255 to the greatest horizontal rate. */
const MAX_KHZ_OFFSET_FLAG = 0x08;
/** No formula for further timings. */
const RANGE_LIMITS_ONLY = 0x01;

/**
 * A detailed timing.
 * @param timing - width and height to 4095, clock to 655.35 MHz
 */
export function detailedTiming(timing: VideoTiming, widthMm: number, heightMm: number): Uint8Array {
  const { clock10kHz, width, hBlank, hFront, hSync, height, vBlank, vFront, vSync } = timing;
  return Uint8Array.of(
    clock10kHz & 0xff,
    clock10kHz >> 8,
    width & 0xff,
    hBlank & 0xff,
    ((width >> 8) << 4) | (hBlank >> 8),
    height & 0xff,
    vBlank & 0xff,
    ((height >> 8) << 4) | (vBlank >> 8),
    hFront & 0xff,
    hSync & 0xff,
    ((vFront & 0xf) << 4) | (vSync & 0xf),
    ((hFront >> 8) << 6) | ((hSync >> 8) << 4) | ((vFront >> 4) << 2) | (vSync >> 4),
    widthMm & 0xff,
    heightMm & 0xff,
    ((widthMm >> 8) << 4) | (heightMm >> 8),
    0,
    0,
    SYNC_FLAGS,
  );
}

/** Range limits around `timings`; null when the fields cannot hold them (above 510 kHz or 2550 MHz). */
export function rangeLimits(timings: readonly VideoTiming[]): Uint8Array | null {
  const rates = timings.map(refreshHz);
  const lines = timings.map(lineRateKhz);
  const maxKhz = Math.ceil(Math.max(USUAL_KHZ[1], ...lines));
  const clocks = timings.map((timing) => timing.clock10kHz / ROUNDED_CLOCK_UNITS);
  const maxClock = Math.ceil(Math.max(USUAL_CLOCK, ...clocks));
  if (maxKhz > 2 * MAX_BYTE || maxClock > MAX_BYTE) {
    return null;
  }
  const descriptor = described(TAG_RANGE_LIMITS);
  descriptor[4] = maxKhz > MAX_BYTE ? MAX_KHZ_OFFSET_FLAG : 0;
  descriptor[5] = Math.floor(Math.min(USUAL_HZ[0], ...rates));
  descriptor[6] = Math.ceil(Math.max(USUAL_HZ[1], ...rates));
  descriptor[7] = Math.max(1, Math.floor(Math.min(USUAL_KHZ[0], ...lines)));
  descriptor[8] = maxKhz > MAX_BYTE ? maxKhz - MAX_BYTE : maxKhz;
  descriptor[9] = maxClock;
  descriptor[10] = RANGE_LIMITS_ONLY;
  descriptor[11] = NEWLINE;
  descriptor.fill(SPACE, 12);
  return descriptor;
}

/** Product name or serial number. @param text - printable ASCII, at most 13 characters */
export function textDescriptor(what: 'name' | 'serial', text: string): Uint8Array {
  const descriptor = described(what === 'name' ? TAG_NAME : TAG_SERIAL);
  descriptor.fill(SPACE, TEXT_OFFSET);
  for (let index = 0; index < text.length; index++) {
    descriptor[TEXT_OFFSET + index] = text.charCodeAt(index);
  }
  if (text.length < TEXT_BYTES) {
    descriptor[TEXT_OFFSET + text.length] = NEWLINE;
  }
  return descriptor;
}

/** A descriptor that says nothing. */
export function dummyDescriptor(): Uint8Array {
  return described(TAG_DUMMY);
}

function described(tag: number): Uint8Array {
  const descriptor = new Uint8Array(BYTES);
  descriptor[TAG_OFFSET] = tag;
  return descriptor;
}
