/** The one class of error of this program. */

/**
 * - `ERR_PROXY_CLIENT`: a client broke the protocol, or asked for what cannot pass. It is told, and ended.
 * - `ERR_PROXY_MEMORY`: the host gave no memory for a buffer. The client is told, and ended.
 * - `ERR_PROXY_HOST`: the host's side sent what makes no sense. The client's connection is ended.
 * - `ERR_PROXY_DEVICE`: the GPU of the guest cannot be used. Choose another render node, or give the host's GPU a channel.
 * - `ERR_PROXY_USAGE`: the command line, or the environment, is wrong. Do what the message says.
 */
export type ProxyErrorCode =
  | 'ERR_PROXY_CLIENT'
  | 'ERR_PROXY_MEMORY'
  | 'ERR_PROXY_HOST'
  | 'ERR_PROXY_DEVICE'
  | 'ERR_PROXY_USAGE';

/** Which error of the Wayland protocol the client is told: an object of its own, and the number. */
export interface WaylandError {
  readonly objectId: number;
  readonly code: number;
}

/** What ends a client, or the program's start. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ProxyErrorCode;
  readonly wayland: WaylandError | undefined;

  constructor(code: ProxyErrorCode, detail: string, wayland?: WaylandError, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.wayland = wayland;
  }
}
