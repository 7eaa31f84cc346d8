/** IOTLB_MSG from the front-end: translations for a device behind an IOMMU (VIRTIO_F_ACCESS_PLATFORM). */
import { VHOST_ACCESS_RO, VHOST_IOTLB_INVALIDATE, VHOST_IOTLB_UPDATE } from '../layout.ts';
import { encodeIotlb } from '../protocol/encode.ts';
import { readAck } from './check-reply.ts';
import { ask, type RequestPort } from './request-port.ts';
import type { Done } from './sequence.ts';

/** A translation: IOVA to user address, safe integers, bytes. */
export interface IotlbEntry {
  readonly iova: number;
  readonly size: number;
  readonly userAddr: number;
  /** VHOST_ACCESS_RO, VHOST_ACCESS_WO or VHOST_ACCESS_RW. */
  readonly perm: number;
}

/** The two messages, each answered by a u64 whether asked for or not. */
export class IotlbMessages {
  readonly #port: RequestPort;

  constructor(port: RequestPort) {
    this.#port = port;
  }

  /** Adds a translation: the answer to a miss. */
  update({ iova, size, userAddr, perm }: IotlbEntry, done: Done): void {
    this.#send({ iova, size, uaddr: userAddr, perm, type: VHOST_IOTLB_UPDATE }, done);
  }

  /** Takes translations back: the back-end has stopped using them when this is done. */
  invalidate(iova: number, size: number, done: Done): void {
    this.#send({ iova, size, uaddr: 0, perm: VHOST_ACCESS_RO, type: VHOST_IOTLB_INVALIDATE }, done);
  }

  #send(message: Parameters<typeof encodeIotlb>[0], done: Done): void {
    ask(this.#port, 'IOTLB_MSG', encodeIotlb(message), [], readAck, (error) => done(error));
  }
}
