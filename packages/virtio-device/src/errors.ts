/** The one error class of this package. */

/**
 * What went wrong:
 * - `ERR_DEVICE_DEFINITION`: the device declares what cannot be (feature bits of the ring, sizes); correct the device.
 * - `ERR_DEVICE_OPTIONS`: `serve` was given options that do not go together; correct the call.
 * - `ERR_DEVICE_ASYNC`: the device needs Promises and the loop has the blocking driver; use the `node` driver.
 * - `ERR_DEVICE_SOCKET`: the socket cannot be made or is none (see `cause`); choose another path or descriptor.
 * - `ERR_DEVICE_HANDOVER`: the device cannot be handed over, or what was handed over does not fit this device; the front-end
 *   is served as one that comes back.
 * - `ERR_DEVICE_STATE`: the device's state cannot be told to another host now; the VM stays.
 * - `ERR_DEVICE_FEATURES`: the driver did not accept VIRTIO_F_VERSION_1; legacy drivers are not served.
 */
export type DeviceErrorCode =
  | 'ERR_DEVICE_DEFINITION'
  | 'ERR_DEVICE_OPTIONS'
  | 'ERR_DEVICE_ASYNC'
  | 'ERR_DEVICE_SOCKET'
  | 'ERR_DEVICE_HANDOVER'
  | 'ERR_DEVICE_STATE'
  | 'ERR_DEVICE_FEATURES';

/** An error of set-up or negotiation; the message states what was seen and what is wanted. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly code: DeviceErrorCode;

  constructor(code: DeviceErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
