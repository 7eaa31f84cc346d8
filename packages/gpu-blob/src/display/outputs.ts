/** The device's own displays: what the guest is told where no display channel decides. */
import { GpuError } from '../errors.ts';
import type { OutputSize } from '../options.ts';
import { DisplayOne } from '../protocol/layout.ts';
import { MIN_SCANOUT, VIRTIO_GPU_MAX_SCANOUTS } from '../protocol/values.ts';
import { makeEdid } from './edid.ts';
import type { Output } from './sink.ts';

/** Largest width and height of an output. */
export const MAX_OUTPUT_PIXELS = 16384;

const UNPLUGGED: Output = Object.freeze({ x: 0, y: 0, width: 0, height: 0, enabled: false });
/** What an output has that was never given a size. */
const DEFAULT_SIZE: OutputSize = Object.freeze({ width: 1280, height: 800, enabled: false });

/** Up to 16 displays, side by side. Their number is fixed; their sizes and whether they are plugged in may change. */
export class Outputs {
  #sizes: readonly OutputSize[];
  #list: readonly Output[] = [];

  /**
   * @param numScanouts - displays there can be; those without a size are unplugged
   * @throws GpuError ERR_GPU_OPTION: more than 16, more sizes than displays, or a size that is not 16 to 16384
   */
  constructor(sizes: readonly OutputSize[], numScanouts: number = sizes.length) {
    if (!(Number.isInteger(numScanouts) && numScanouts >= 0 && numScanouts <= VIRTIO_GPU_MAX_SCANOUTS)) {
      throw new GpuError('ERR_GPU_OPTION', `${numScanouts} outputs, there can be 0 to ${VIRTIO_GPU_MAX_SCANOUTS}`);
    }
    this.#sizes = new Array<OutputSize>(numScanouts).fill(DEFAULT_SIZE);
    this.set(sizes);
  }

  get numScanouts(): number {
    return this.#sizes.length;
  }

  /**
   * Gives the first displays new sizes and unplugs the rest.
   * @returns true when the guest would see a difference
   * @throws GpuError ERR_GPU_OPTION as the constructor; nothing is changed then
   */
  set(sizes: readonly OutputSize[]): boolean {
    const old = this.#sizes;
    if (sizes.length > old.length) {
      throw new GpuError('ERR_GPU_OPTION', `${sizes.length} output sizes for ${old.length} outputs`);
    }
    sizes.forEach(checkSize);
    this.#sizes = old.map((before, index) => {
      const size = sizes[index];
      return size === undefined
        ? { ...before, enabled: false }
        : { width: size.width, height: size.height, enabled: size.enabled ?? true };
    });
    this.#list = sideBySide(this.#sizes);
    return this.#sizes.some((size, index) => !sameSize(size, old[index]!));
  }

  /** The displays from left to right; an unplugged one is 0 x 0. The array is not changed later. */
  list(): readonly Output[] {
    return this.#list;
  }

  /**
   * What display `scanout` says about itself, also while it is unplugged.
   * @returns 128 or 256 bytes
   * @throws RangeError when there is no such display
   */
  edid(scanout: number): Uint8Array {
    const size = this.#sizes[scanout];
    if (size === undefined) {
      throw new RangeError(`no scanout ${scanout}, there are ${this.#sizes.length}`);
    }
    return makeEdid({ width: size.width, height: size.height, scanout });
  }
}

/**
 * Writes the `pmodes` of a `struct virtio_gpu_resp_display_info`: always 16 entries, 384 bytes.
 * @param outputs - what there is of them; the rest becomes zero
 * @param offset - of `pmodes` in `view`
 */
export function putDisplayInfo(outputs: readonly Output[], view: DataView, offset: number): void {
  for (let index = 0; index < VIRTIO_GPU_MAX_SCANOUTS; index++) {
    const output = outputs[index] ?? UNPLUGGED;
    const base = offset + index * DisplayOne.byteLength;
    DisplayOne.x.set(view, base, output.x);
    DisplayOne.y.set(view, base, output.y);
    DisplayOne.width.set(view, base, output.width);
    DisplayOne.height.set(view, base, output.height);
    DisplayOne.enabled.set(view, base, output.enabled ? 1 : 0);
    DisplayOne.flags.set(view, base, 0);
  }
}

function checkSize(size: OutputSize, index: number): void {
  for (const pixels of [size.width, size.height]) {
    if (!(Number.isInteger(pixels) && pixels >= MIN_SCANOUT && pixels <= MAX_OUTPUT_PIXELS)) {
      throw new GpuError(
        'ERR_GPU_OPTION',
        `output ${index} of ${size.width} x ${size.height} pixels, each must be ${MIN_SCANOUT} to ${MAX_OUTPUT_PIXELS}`,
      );
    }
  }
}

function sideBySide(sizes: readonly OutputSize[]): readonly Output[] {
  let x = 0;
  return sizes.map(({ width, height, enabled }) => {
    if (enabled !== true) {
      return UNPLUGGED;
    }
    const output: Output = Object.freeze({ x, y: 0, width, height, enabled: true });
    x += width;
    return output;
  });
}

function sameSize(left: OutputSize, right: OutputSize): boolean {
  return left.width === right.width && left.height === right.height && left.enabled === right.enabled;
}
