/** Reads an EDID by the rules of the kernel's drm_edid.c: what it refuses is refused here. */

export interface DecodedMode {
  readonly width: number;
  readonly height: number;
  readonly clockKhz: number;
  readonly refreshHz: number;
  readonly preferred: boolean;
  readonly hSync: readonly [number, number];
  readonly vSync: readonly [number, number];
}

export interface DecodedEdid {
  readonly vendor: string;
  readonly serial: number;
  readonly widthCm: number;
  readonly heightCm: number;
  readonly name: string;
  readonly serialText: string;
  readonly rangeLimits: { minHz: number; maxHz: number; minKhz: number; maxKhz: number; maxMhz: number } | null;
  /** Sizes of established and standard timings. */
  readonly wellKnown: readonly string[];
  readonly modes: readonly DecodedMode[];
}

/** @throws Error naming the rule that is broken */
export function decodeEdid(edid: Uint8Array): DecodedEdid {
  must(edid.length >= 128 && edid.length === 128 * (1 + edid[126]!), 'length and number of extensions');
  must(Buffer.from(edid.subarray(0, 8)).toString('hex') === '00ffffffffffff00', 'header');
  for (let block = 0; block < edid.length; block += 128) {
    must(sum(edid.subarray(block, block + 128)) === 0, `checksum of the block at ${block}`);
  }
  must(edid[18] === 1 && edid[19] === 4, 'version 1.4');
  const view = new DataView(edid.buffer, edid.byteOffset, edid.length);
  const vendor = view.getUint16(8);
  const descriptors = [54, 72, 90, 108].map((offset) => edid.subarray(offset, offset + 18));
  const modes = descriptors.filter((one) => one[0] !== 0 || one[1] !== 0).map((one) => detailed(one));
  must(descriptors[0]![0] !== 0 || descriptors[0]![1] !== 0, 'the first descriptor is a timing');
  if (edid.length > 128) {
    modes.push(...displayId(edid.subarray(128, 256)));
  }
  return {
    vendor: [10, 5, 0].map((shift) => String.fromCharCode(64 + ((vendor >> shift) & 31))).join(''),
    serial: view.getUint32(12, true),
    widthCm: edid[21]!,
    heightCm: edid[22]!,
    name: text(descriptors, 0xfc),
    serialText: text(descriptors, 0xff),
    rangeLimits: limits(descriptors),
    wellKnown: wellKnown(edid),
    modes,
  };
}

function must(isKept: boolean, rule: string): void {
  if (!isKept) {
    throw new Error(`EDID breaks a rule: ${rule}`);
  }
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

function detailed(one: Uint8Array): DecodedMode {
  const [hActive, hBlank] = [one[2]! | ((one[4]! & 0xf0) << 4), one[3]! | ((one[4]! & 0xf) << 8)];
  const [vActive, vBlank] = [one[5]! | ((one[7]! & 0xf0) << 4), one[6]! | ((one[7]! & 0xf) << 8)];
  const hSync = [one[8]! | ((one[11]! & 0xc0) << 2), one[9]! | ((one[11]! & 0x30) << 4)] as const;
  const vSync = [(one[10]! >> 4) | ((one[11]! & 0xc) << 2), (one[10]! & 0xf) | ((one[11]! & 0x3) << 4)] as const;
  must(hSync[0] + hSync[1] <= hBlank && vSync[0] + vSync[1] <= vBlank, 'the sync lies within the blanking');
  must((one[17]! & 0x18) === 0x18, 'separate sync');
  return mode(hActive, hBlank, vActive, vBlank, hSync, vSync, (one[0]! | (one[1]! << 8)) * 10, true);
}

function displayId(block: Uint8Array): DecodedMode[] {
  must(block[0] === 0x70, 'a DisplayID extension');
  const size = block[2]!;
  must(1 + 5 + size <= 127, 'the section lies within its block');
  must(sum(block.subarray(1, 1 + 5 + size)) === 0, 'checksum of the section');
  const modes: DecodedMode[] = [];
  for (let at = 5; at + 3 <= 5 + size && (block[at] !== 0 || block[at + 2] !== 0); at += 3 + block[at + 2]!) {
    must(at + 3 + block[at + 2]! <= 5 + size, 'the data block lies within its section');
    if (block[at] === 3) {
      must(block[at + 2] === 20, 'one timing');
      modes.push(typeOne(block.subarray(at + 3, at + 23)));
    }
  }
  return modes;
}

function typeOne(one: Uint8Array): DecodedMode {
  const word = (at: number): number => (one[at]! | (one[at + 1]! << 8)) + 1;
  const clock = (one[0]! | (one[1]! << 8) | (one[2]! << 16)) + 1;
  const hFront = ((one[8]! | (one[9]! << 8)) & 0x7fff) + 1;
  const vFront = ((one[16]! | (one[17]! << 8)) & 0x7fff) + 1;
  const preferred = (one[3]! & 0x80) !== 0;
  return mode(word(4), word(6), word(12), word(14), [hFront, word(10)], [vFront, word(18)], clock * 10, preferred);
}

function mode(
  width: number,
  hBlank: number,
  height: number,
  vBlank: number,
  hSync: readonly [number, number],
  vSync: readonly [number, number],
  clockKhz: number,
  preferred: boolean,
): DecodedMode {
  const refreshHz = (clockKhz * 1000) / ((width + hBlank) * (height + vBlank));
  return { width, height, clockKhz, refreshHz, preferred, hSync, vSync };
}

function text(descriptors: readonly Uint8Array[], tag: number): string {
  const one = descriptors.find((each) => each[0] === 0 && each[1] === 0 && each[3] === tag);
  return one === undefined ? '' : Buffer.from(one.subarray(5)).toString('latin1').split('\n')[0]!;
}

function limits(descriptors: readonly Uint8Array[]): DecodedEdid['rangeLimits'] {
  const one = descriptors.find((each) => each[0] === 0 && each[1] === 0 && each[3] === 0xfd);
  if (one === undefined) {
    return null;
  }
  const maxKhz = one[8]! + ((one[4]! & 0x08) !== 0 ? 255 : 0);
  return { minHz: one[5]!, maxHz: one[6]!, minKhz: one[7]!, maxKhz, maxMhz: one[9]! * 10 };
}

function wellKnown(edid: Uint8Array): string[] {
  const sizes: string[] = [];
  const established: [number, number, string][] = [
    [35, 0x20, '640x480'],
    [35, 0x01, '800x600'],
    [36, 0x08, '1024x768'],
  ];
  sizes.push(...established.filter(([byte, bit]) => (edid[byte]! & bit) !== 0).map(([, , size]) => size));
  for (let at = 38; at < 54; at += 2) {
    if (edid[at] !== 1 || edid[at + 1] !== 1) {
      const width = (edid[at]! + 31) * 8;
      const [across, down] = [
        [16, 10],
        [4, 3],
        [5, 4],
        [16, 9],
      ][edid[at + 1]! >> 6]! as [number, number];
      sizes.push(`${width}x${(width * down) / across}`);
    }
  }
  return sizes;
}
