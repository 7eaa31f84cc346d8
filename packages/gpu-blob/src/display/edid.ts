/**
 * What a virtual display says about itself: an EDID 1.4 base block, with a DisplayID extension where a mode is too large
 * for it (VESA E-EDID 1.4; VESA DisplayID 1.3, type I timings).
 */

import { displayIdBlock } from './displayid.ts';
import { putChecksum } from './edid-checksum.ts';
import { detailedTiming, dummyDescriptor, rangeLimits, textDescriptor } from './edid-descriptors.ts';
import { reducedBlanking, type VideoTiming } from './video-timing.ts';

/** Of which display. */
export interface EdidOptions {
  /** Pixels of the preferred mode, 1 to 16384. */
  readonly width: number;
  readonly height: number;
  /** Makes the serial number: displays of one device differ by it. */
  readonly scanout: number;
}

/** Bytes of a block. */
export const EDID_BLOCK_BYTES = 128;

const REFRESH_HZ = 60;
/** Width and height have 12 bits in the base block, the pixel clock has 16 (units of 10 kHz). */
const BASE_MAX_PIXELS = 0xfff;
const BASE_MAX_CLOCK = 0xffff;
const DOTS_PER_INCH = 100;
const MM_PER_INCH = 25.4;
/** The base block gives the size in one byte of centimetres. */
const MAX_MM = 2550;
const MM_PER_CM = 10;

const VENDOR = 'ORL';
const PRODUCT_CODE = 1;
const YEAR = 2026;
const FIRST_YEAR = 1990;
const NAME = 'Oriel';

const HEADER = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
/** Digital, 8 bits a colour, interface not defined. */
const VIDEO_INPUT = 0xa0;
/** (gamma * 100) - 100, gamma 2.2. */
const GAMMA = 120;
/** RGB only, sRGB is the default, the preferred timing is the native one, no continuous frequencies. */
const FEATURES = 0x06;
/** Primaries and white point of sRGB, ten bits each. */
const SRGB = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];
/** Established timings at 60 Hz: width, height, byte, bit. */
const ESTABLISHED = [
  [640, 480, 35, 5],
  [800, 600, 35, 0],
  [1024, 768, 36, 3],
] as const;
/** Standard timings at 60 Hz: width, height, code of the aspect ratio. */
const STANDARD = [
  [2048, 1152, 3],
  [1920, 1200, 0],
  [1920, 1080, 3],
  [1680, 1050, 0],
  [1600, 1200, 1],
  [1440, 900, 0],
  [1280, 1024, 2],
  [1280, 720, 3],
] as const;
const STANDARD_OFFSET = 38;
const DESCRIPTORS_OFFSET = 54;
const DESCRIPTOR_BYTES = 18;
const EXTENSION_COUNT_OFFSET = 126;

/**
 * An EDID whose preferred mode is `width` x `height` at 60 Hz. Where that mode is wider or higher than 4095 or its clock
 * above 655.35 MHz, it stands in a DisplayID extension, and the base block prefers its best approximation: the same size
 * more slowly, or the same shape at a whole fraction of the size.
 * @returns 128 or 256 bytes
 */
export function makeEdid(options: EdidOptions): Uint8Array {
  const { width, height, scanout } = options;
  const wanted = reducedBlanking(width, height, REFRESH_HZ);
  const base = baseTiming(wanted);
  const extended = base !== wanted;
  const edid = new Uint8Array(extended ? 2 * EDID_BLOCK_BYTES : EDID_BLOCK_BYTES);
  const mmPerPixel = Math.min(MM_PER_INCH / DOTS_PER_INCH, MAX_MM / Math.max(width, height));
  const widthMm = Math.max(1, Math.round(width * mmPerPixel));
  const heightMm = Math.max(1, Math.round(height * mmPerPixel));

  putIdentity(edid, scanout);
  edid[20] = VIDEO_INPUT;
  // Zero in one of the two would turn the other into an aspect ratio.
  edid[21] = Math.max(1, Math.round(widthMm / MM_PER_CM));
  edid[22] = Math.max(1, Math.round(heightMm / MM_PER_CM));
  edid[23] = GAMMA;
  edid[24] = FEATURES;
  edid.set(SRGB, 25);
  putSmallerModes(edid, width, height);
  const descriptors = [
    detailedTiming(base, widthMm, heightMm),
    rangeLimits(extended ? [base, wanted] : [base]) ?? dummyDescriptor(),
    textDescriptor('name', NAME),
    textDescriptor('serial', `scanout-${scanout}`),
  ];
  descriptors.forEach((descriptor, index) => {
    edid.set(descriptor, DESCRIPTORS_OFFSET + index * DESCRIPTOR_BYTES);
  });
  if (extended) {
    edid[EXTENSION_COUNT_OFFSET] = 1;
    const serial = serialOf(scanout);
    const facts = { vendor: VENDOR, productCode: PRODUCT_CODE, serial, year: YEAR, widthMm, heightMm, timing: wanted };
    edid.set(displayIdBlock(facts), EDID_BLOCK_BYTES);
  }
  putChecksum(edid, 0, EDID_BLOCK_BYTES);
  return edid;
}

/** `wanted` itself where the base block can hold it. */
function baseTiming(wanted: VideoTiming): VideoTiming {
  const divisor = Math.ceil(Math.max(wanted.width, wanted.height) / BASE_MAX_PIXELS);
  const width = Math.max(1, Math.floor(wanted.width / divisor));
  const height = Math.max(1, Math.floor(wanted.height / divisor));
  let timing = divisor === 1 ? wanted : reducedBlanking(width, height, REFRESH_HZ);
  for (let hz = REFRESH_HZ - 1; timing.clock10kHz > BASE_MAX_CLOCK; hz--) {
    timing = reducedBlanking(width, height, hz);
  }
  return timing;
}

function putIdentity(edid: Uint8Array, scanout: number): void {
  const view = new DataView(edid.buffer);
  edid.set(HEADER);
  let vendor = 0;
  for (const letter of VENDOR) {
    vendor = (vendor << 5) | (letter.charCodeAt(0) & 0x1f);
  }
  view.setUint16(8, vendor);
  view.setUint16(10, PRODUCT_CODE, true);
  view.setUint32(12, serialOf(scanout), true);
  edid[17] = YEAR - FIRST_YEAR;
  edid[18] = 1;
  edid[19] = 4;
}

/** 0 would say that there is no serial number. */
function serialOf(scanout: number): number {
  return scanout + 1;
}

/** Well-known modes that fit into the preferred one. */
function putSmallerModes(edid: Uint8Array, maxWidth: number, maxHeight: number): void {
  for (const [width, height, byte, bit] of ESTABLISHED) {
    if (width <= maxWidth && height <= maxHeight) {
      edid[byte] = edid[byte]! | (1 << bit);
    }
  }
  let slot = STANDARD_OFFSET;
  for (const [width, height, aspect] of STANDARD) {
    if (width <= maxWidth && height <= maxHeight) {
      edid[slot++] = width / 8 - 31;
      edid[slot++] = aspect << 6;
    }
  }
  edid.fill(0x01, slot, DESCRIPTORS_OFFSET);
}
