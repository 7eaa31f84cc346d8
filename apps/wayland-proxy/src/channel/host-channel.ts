/** The way to the host, as the proxy sees it: one connection to the compositor, and memory that both sides see. */
import type { Address } from '@oriel/sys';

/** A descriptor as it travels: what it is and by which number the other side knows it. */
export interface Identifier {
  readonly id: number;
  /** CROSS_DOMAIN_ID_TYPE_* */
  readonly type: number;
  /** Bytes, of a file. */
  readonly size: number;
}

/** Memory of the host, mapped here. Disposing gives it up; the compositor keeps what it was sent. */
export interface HostMemory extends Disposable {
  readonly addr: Address;
  /** Bytes, at least what was asked for. */
  readonly len: number;
  /** What a SEND names it by. */
  readonly resourceId: number;
}

/** What comes from the host; data is lent. One call for each `poll`. */
export interface ChannelHandler {
  /** Bytes and descriptors of the compositor. */
  onReceive(data: Uint8Array, identifiers: readonly Identifier[]): void;
  /** Data of a pipe that we asked for. */
  onRead(pipe: number, data: Uint8Array, hangUp: boolean): void;
  /** The connection is over. */
  onEnd(reason: string): void;
}

/** Most bytes of one SEND. */
export const MAX_SEND_LEN = 3744;
/** Most descriptors of one SEND. */
export const MAX_SEND_IDENTIFIERS = 28;
/** Most bytes of one WRITE. */
export const MAX_WRITE_LEN = 4072;

export interface HostChannel extends Disposable {
  /**
   * Bytes for the compositor, with descriptors.
   * @param data - at most MAX_SEND_LEN bytes
   * @param taken - called once the host has taken this and all before it
   * @throws ProxyError ERR_PROXY_DEVICE
   */
  send(data: Uint8Array, identifiers: readonly Identifier[], taken?: () => void): void;
  /** Bytes for a pipe of the host, at most MAX_WRITE_LEN; `hangUp` closes it afterwards. @throws ProxyError ERR_PROXY_DEVICE */
  write(pipe: number, data: Uint8Array, hangUp: boolean, taken?: () => void): void;
  /** Memory of its own, zeroed. @throws ProxyError ERR_PROXY_MEMORY */
  allocate(len: number): HostMemory;
  /** The file behind an identifier that came. @throws ProxyError ERR_PROXY_MEMORY */
  openFile(id: number, len: number): HostMemory;
  /** The number by which the host will know the pipe that the next SEND asks for. */
  nextReadPipe(): number;
  /** Asks for the next message, which comes to the handler. @throws ProxyError ERR_PROXY_DEVICE */
  poll(): void;
}

/** Connects a client to the host; nothing comes before the first `poll`. @throws ProxyError ERR_PROXY_DEVICE */
export type OpenChannel = (handler: ChannelHandler) => HostChannel;
