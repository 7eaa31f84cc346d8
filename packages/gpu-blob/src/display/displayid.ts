/** A DisplayID section as an extension block of an EDID (VESA DisplayID 1.2): for modes that a base block cannot hold. */
import { putChecksum } from './edid-checksum.ts';
import type { VideoTiming } from './video-timing.ts';

/** What the section says. */
export interface DisplayIdFacts {
  /** Three capital letters. */
  readonly vendor: string;
  readonly productCode: number;
  readonly serial: number;
  readonly year: number;
  readonly widthMm: number;
  readonly heightMm: number;
  /** The native and preferred mode; width and height to 65536. */
  readonly timing: VideoTiming;
}

const BLOCK_BYTES = 128;
const EXTENSION_TAG = 0x70;
const VERSION = 0x12;
/** An EDID's section fills its block: tag and checksum of the block, four bytes of header and a checksum are not payload. */
const PAYLOAD_BYTES = 121;
const SECTION_OFFSET = 1;
const SECTION_BYTES = PAYLOAD_BYTES + 5;
/** Product type: a display of its own. */
const STANDALONE_DISPLAY = 3;
/** Tag, revision and length before each data block. */
const BLOCK_HEADER_BYTES = 3;

const PRODUCT_IDENTIFICATION = 0x00;
const FIRST_YEAR = 2000;

const DISPLAY_PARAMETERS = 0x01;
const TENTHS = 10;
/** (gamma - 1) * 100, gamma 2.2. */
const GAMMA = 120;
const MAX_BYTE = 255;
/** 8 bits a colour, in all and natively, less one. */
const COLOUR_DEPTH = 0x77;

const DISPLAY_INTERFACE = 0x0f;
/** A proprietary digital interface with one link. */
const PROPRIETARY = 0xb1;
/** 8 bits a colour, RGB. */
const RGB_8_BITS = 0x02;

const TIMING_TYPE_1 = 0x03;
const PREFERRED = 0x80;
const ASPECT_NOT_DEFINED = 0x08;
const POSITIVE_SYNC = 0x8000;

/** @returns an extension block of 128 bytes with one preferred timing */
export function displayIdBlock(facts: DisplayIdFacts): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set([EXTENSION_TAG, VERSION, PAYLOAD_BYTES, STANDALONE_DISPLAY]);
  let offset = SECTION_OFFSET + 4;
  const parts: readonly [number, Uint8Array][] = [
    [PRODUCT_IDENTIFICATION, product(facts)],
    [DISPLAY_PARAMETERS, parameters(facts)],
    [DISPLAY_INTERFACE, Uint8Array.of(PROPRIETARY, 0, RGB_8_BITS, 0, 0, 0, 0, 0, 0, 0)],
    [TIMING_TYPE_1, detailedTiming(facts.timing)],
  ];
  for (const [tag, data] of parts) {
    block.set([tag, 0, data.length], offset);
    block.set(data, offset + BLOCK_HEADER_BYTES);
    offset += BLOCK_HEADER_BYTES + data.length;
  }
  putChecksum(block, SECTION_OFFSET, SECTION_BYTES);
  putChecksum(block, 0, BLOCK_BYTES);
  return block;
}

function product(facts: DisplayIdFacts): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < facts.vendor.length; index++) {
    bytes[index] = facts.vendor.charCodeAt(index);
  }
  view.setUint16(3, facts.productCode, true);
  view.setUint32(5, facts.serial, true);
  bytes[10] = facts.year - FIRST_YEAR;
  return bytes;
}

function parameters(facts: DisplayIdFacts): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  const { width, height } = facts.timing;
  view.setUint16(0, facts.widthMm * TENTHS, true);
  view.setUint16(2, facts.heightMm * TENTHS, true);
  view.setUint16(4, width, true);
  view.setUint16(6, height, true);
  bytes[9] = GAMMA;
  bytes[10] = Math.min(MAX_BYTE, Math.round((Math.max(width, height) / Math.min(width, height) - 1) * 100));
  bytes[11] = COLOUR_DEPTH;
  return bytes;
}

function detailedTiming(timing: VideoTiming): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  // Every number is stored less one.
  view.setUint32(0, (timing.clock10kHz - 1) | ((PREFERRED | ASPECT_NOT_DEFINED) << 24), true);
  view.setUint16(4, timing.width - 1, true);
  view.setUint16(6, timing.hBlank - 1, true);
  view.setUint16(8, (timing.hFront - 1) | POSITIVE_SYNC, true);
  view.setUint16(10, timing.hSync - 1, true);
  view.setUint16(12, timing.height - 1, true);
  view.setUint16(14, timing.vBlank - 1, true);
  view.setUint16(16, timing.vFront - 1, true);
  view.setUint16(18, timing.vSync - 1, true);
  return bytes;
}
