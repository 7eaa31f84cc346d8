/** The one error class of this package. */

/**
 * - `ERR_GPU_OPTION`: an option of the device is out of range (see the message).
 * - `ERR_GPU_CAPSET`: two context types have one capset id, or an id is not 1 to 63.
 * - `ERR_GPU_DISPLAY`: the display channel broke its protocol, or ended.
 */
export type GpuErrorCode = 'ERR_GPU_OPTION' | 'ERR_GPU_CAPSET' | 'ERR_GPU_DISPLAY';

export class GpuError extends Error {
  override readonly name = 'GpuError';
  readonly code: GpuErrorCode;

  constructor(code: GpuErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
