/** Reads PNG files (ISO/IEC 15948) of eight bits a sample, RGB or RGBA, not interlaced: enough to check a picture. */
import { crc32, inflateSync } from 'node:zlib';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CHUNK_EXTRA = 12;
const DEPTH = 8;
/** Channels by colour type. */
const CHANNELS: ReadonlyMap<number, number> = new Map([
  [2, 3],
  [6, 4],
]);

/** A picture, pixels; `rgb`: three bytes each. */
export interface DecodedPng {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** @throws RangeError for a file that is broken, or of another kind */
export function decodePng(file: Buffer): DecodedPng {
  if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new RangeError('no PNG signature');
  const chunks = chunksOf(file);
  const header = chunks.find(({ type }) => type === 'IHDR')?.data;
  if (header === undefined) throw new RangeError('no IHDR');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colourType, , , interlaced] = header.subarray(DEPTH);
  const channels = CHANNELS.get(colourType!);
  if (depth !== DEPTH || channels === undefined || interlaced !== 0) throw new RangeError('not plain RGB');
  const packed = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  const samples = unfilter(inflateSync(packed), width * channels, height, channels);
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgb.set(samples.subarray(pixel * channels, pixel * channels + 3), pixel * 3);
  }
  return { width, height, rgb };
}

function chunksOf(file: Buffer): { type: string; data: Buffer }[] {
  const chunks = [];
  for (let at = SIGNATURE.length; at + CHUNK_EXTRA <= file.length; ) {
    const len = file.readUInt32BE(at);
    const data = file.subarray(at + 8, at + 8 + len);
    if (crc32(file.subarray(at + 4, at + 8 + len)) !== file.readUInt32BE(at + 8 + len)) throw new RangeError('bad CRC');
    chunks.push({ type: file.toString('latin1', at + 4, at + 8), data });
    at += len + CHUNK_EXTRA;
  }
  return chunks;
}

/** Undoes the filters of clause 9: each row has its type before it. */
function unfilter(bytes: Uint8Array, rowBytes: number, rows: number, step: number): Uint8Array {
  const out = new Uint8Array(rowBytes * rows);
  for (let row = 0; row < rows; row++) {
    const from = row * (rowBytes + 1);
    const filter = bytes[from]!;
    for (let x = 0; x < rowBytes; x++) {
      const at = row * rowBytes + x;
      const left = x < step ? 0 : out[at - step]!;
      const up = row === 0 ? 0 : out[at - rowBytes]!;
      const corner = x < step || row === 0 ? 0 : out[at - rowBytes - step]!;
      out[at] = bytes[from + 1 + x]! + predicted(filter, left, up, corner);
    }
  }
  return out;
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4:
      return paeth(left, up, corner);
    default:
      throw new RangeError(`filter ${filter}`);
  }
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
