/** What the suite knows of a kind of device: a request that means well, and some that lie. */

/** What stands in writable buffers before the device writes to them. */
export const UNTOUCHED = 0xee;

/** A request by its parts. */
export interface DeviceRequest {
  readonly readable: readonly Uint8Array[];
  /** Bytes of each writable buffer. */
  readonly writable: readonly number[];
}

/** What came back: the writable parts as one, and how much of it the device says it wrote. */
export interface DeviceReply {
  readonly bytes: Uint8Array;
  readonly len: number;
}

/** A lie in a request. */
export interface DeviceLie extends DeviceRequest {
  /** Last part of the clause's id. */
  readonly id: string;
  readonly source: string;
  readonly what: string;
}

/** A kind of device. */
export interface KnownDevice {
  readonly name: string;
  /** The ring that its requests go to. */
  readonly queue: number;
  readonly honest: DeviceRequest;
  /** @returns what is wrong with the reply to the honest request, or null */
  check(reply: DeviceReply): string | null;
  /** @returns how the reply to a lie refuses it, or null where it does not */
  refusal(reply: DeviceReply): string | null;
  readonly lies: readonly DeviceLie[];
}

/** @returns a view over the bytes of a reply */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
