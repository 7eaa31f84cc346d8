/** What goes wrong between this VM and its back-end. */

/**
 * - `ERR_LOOPBACK_TIMEOUT`: no answer within the limit; the request is still in the ring. See the back-end's log.
 * - `ERR_LOOPBACK_GONE`: the back-end closed the connection, or the VM was ended; make another VM.
 * - `ERR_LOOPBACK_DEVICE`: the device is not what the driver needs (its features, queues or configuration).
 * - `ERR_LOOPBACK_REPLY`: the back-end's answer breaks the protocol: lengths or ids are wrong.
 * - `ERR_LOOPBACK_REFUSED`: a virtio-gpu device answered a command with an error: see `status`.
 * - `ERR_LOOPBACK_RANGE`: the caller asks for more than there is: guest memory, descriptors, ranges of the window.
 */
export type LoopbackErrorCode =
  | 'ERR_LOOPBACK_TIMEOUT'
  | 'ERR_LOOPBACK_GONE'
  | 'ERR_LOOPBACK_DEVICE'
  | 'ERR_LOOPBACK_REPLY'
  | 'ERR_LOOPBACK_REFUSED'
  | 'ERR_LOOPBACK_RANGE';

/** The one error class of this package. What a file system answers (ENOENT, ...) is a `SysError` instead. */
export class LoopbackError extends Error {
  override readonly name = 'LoopbackError';
  readonly code: LoopbackErrorCode;
  /** With ERR_LOOPBACK_REFUSED: VIRTIO_GPU_RESP_ERR_*; else 0. */
  readonly status: number;

  constructor(code: LoopbackErrorCode, detail: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.status = options.status ?? 0;
  }
}
