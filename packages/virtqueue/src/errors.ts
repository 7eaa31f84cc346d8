/** The one error class of this package. */

/**
 * What is wrong with a ring.
 *
 * Set-up (blame `frontend`): refuse the message that asked for it.
 * - `ERR_VIRTQ_SIZE`: the ring's size is not a power of two from 1 to 32768 (packed: any number), or its base is none of it
 * - `ERR_VIRTQ_ALIGN`: a part is not aligned (16, 2, 4)
 * - `ERR_VIRTQ_ADDRESS`: a part does not lie in one region, or no longer does
 * - `ERR_VIRTQ_MEMORY`: a part lies in memory that may be truncated, or that the device does not take
 * - `ERR_VIRTQ_INFLIGHT`: the in-flight area is too short, not aligned, or what it holds is none of this ring; give the ring a new one
 *
 * The ring is broken (blame `driver`): signal the error descriptor; the driver must reset the device.
 * - `ERR_VIRTQ_INDEX`: avail.idx is further ahead than the ring has entries; packed: a descriptor in flight is offered again
 * - `ERR_VIRTQ_HEAD`: a head is not in the ring, or it (packed: a buffer id) belongs to a chain that is not completed
 * - `ERR_VIRTQ_NEXT`: `next` is not in the table
 * - `ERR_VIRTQ_CHAIN_LOOP`: a chain visits more descriptors than its table, or its ring, has
 * - `ERR_VIRTQ_CHAIN_LONG`: a chain has more pieces than `maxPieces`
 * - `ERR_VIRTQ_CHAIN_ORDER`: a readable buffer follows a writable one
 * - `ERR_VIRTQ_CHAIN_BYTES`: a chain's buffers are over 4 GiB in all
 * - `ERR_VIRTQ_INDIRECT`: an indirect table not negotiated, nested, chained on (packed: or chained to), of a bad length, or not in memory
 *
 * One chain is refused (blame `driver`), the ring goes on: log it.
 * - `ERR_VIRTQ_BUFFER`: a buffer lies outside guest memory; the chain was completed with length 0
 *
 * - `ERR_VIRTQ_USED` (driver side, blame `host`): the device returned a chain that it did not have; reset the device
 * - `ERR_VIRTQ_CHAIN_STATE` (blame `bug`): a device completed a chain that was not its to complete
 */
export type VirtqueueErrorCode =
  | 'ERR_VIRTQ_SIZE'
  | 'ERR_VIRTQ_ALIGN'
  | 'ERR_VIRTQ_ADDRESS'
  | 'ERR_VIRTQ_MEMORY'
  | 'ERR_VIRTQ_INFLIGHT'
  | 'ERR_VIRTQ_INDEX'
  | 'ERR_VIRTQ_HEAD'
  | 'ERR_VIRTQ_NEXT'
  | 'ERR_VIRTQ_CHAIN_LOOP'
  | 'ERR_VIRTQ_CHAIN_LONG'
  | 'ERR_VIRTQ_CHAIN_ORDER'
  | 'ERR_VIRTQ_CHAIN_BYTES'
  | 'ERR_VIRTQ_INDIRECT'
  | 'ERR_VIRTQ_BUFFER'
  | 'ERR_VIRTQ_USED'
  | 'ERR_VIRTQ_CHAIN_STATE';

/** Who broke the rule. */
export type VirtqueueBlame = 'driver' | 'frontend' | 'host' | 'bug';

/** A broken rule of a virtqueue. */
export class VirtqueueError extends Error {
  override readonly name = 'VirtqueueError';
  readonly code: VirtqueueErrorCode;
  readonly blame: VirtqueueBlame;
  /** Where: queue index, and the chain's head where one was read. */
  readonly at: { readonly queue?: number; readonly head?: number };

  constructor(
    code: VirtqueueErrorCode,
    blame: VirtqueueBlame,
    detail: string,
    at: { readonly queue?: number; readonly head?: number } = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.blame = blame;
    this.at = at;
  }
}
