/**
 * In-flight memory (messages 31 and 32): an area a ring in which its queue notes what it has taken and not returned, kept by
 * the front-end over the death of this process. The areas stand one behind the other from the start of the memory.
 */
import {
  check,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  Fd,
  type Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  type Sys,
} from '@oriel/sys';
import { inflightBytes } from '@oriel/virtqueue';
import { VhostUserError } from '../errors.ts';
import { VIRTIO_F_RING_PACKED } from '../features.ts';
import { VhostUserInflight } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { Negotiated } from '../protocol/check.ts';
import { encodeInflight, type WireInflight } from '../protocol/encode.ts';
import type { BackendHandler } from './handler.ts';
import type { ReplyWithFd, RequestHandlers } from './requests.ts';
import { mapSealed } from './sealed-memory.ts';

/** What in-flight memory needs of the connection. */
export interface InflightOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly handler: BackendHandler;
  readonly negotiated: Negotiated;
  /** True while a ring runs: its area cannot be exchanged then. */
  readonly ringsRun: () => boolean;
}

/** The memory that was set. */
interface Held {
  readonly wire: WireInflight;
  readonly fd: Fd;
  readonly mapping: Mapping;
}

/** In-flight memory of a connection. */
export class Inflight implements Disposable {
  readonly handlers: RequestHandlers = {
    GET_INFLIGHT_FD: (message) => this.#get(message),
    SET_INFLIGHT_FD: (message) => this.#set(message),
  };
  readonly #options: InflightOptions;
  #held: Held | null = null;

  constructor(options: InflightOptions) {
    this.#options = options;
  }

  /** What was set, for a connection that is written down: the descriptor is lent. */
  get held(): { readonly wire: WireInflight; readonly fd: number } | null {
    return this.#held === null ? null : { wire: this.#held.wire, fd: this.#held.fd.fd };
  }

  /**
   * The area of a ring, null where no memory was set or the ring has no place in it.
   * @throws VhostUserError ERR_VU_INFLIGHT for a ring that is larger than the areas
   */
  area(index: number, size: number): Uint8Array | null {
    const held = this.#held;
    if (held === null || index >= held.wire.numQueues) {
      return null;
    }
    const stride = this.#bytes(held.wire.queueSize);
    const start = index * stride;
    if (size > held.wire.queueSize || start + stride > held.mapping.len) {
      throw refusal(`ring ${index} of ${size} entries, the areas are for ${held.wire.queueSize}`);
    }
    return held.mapping.u8.subarray(start, start + this.#bytes(size));
  }

  /** The device was reset: nothing is in flight any more. */
  clear(): void {
    this.#held?.mapping.u8.fill(0);
  }

  /**
   * Takes memory as SET_INFLIGHT_FD gives it. @param fd - given away, also when this throws
   * @throws VhostUserError ERR_VU_INFLIGHT; what was set before stays
   */
  install(wire: WireInflight, fd: Fd): void {
    try {
      const len = this.#checkedLength(wire);
      const mapping = mapSealed(this.#options.sys, fd, { len, offset: wire.mmapOffset, code: 'ERR_VU_INFLIGHT' });
      this[Symbol.dispose]();
      this.#held = { wire, fd, mapping };
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Unmaps and closes what was set. */
  [Symbol.dispose](): void {
    this.#held?.mapping[Symbol.dispose]();
    this.#held?.fd.close();
    this.#held = null;
  }

  /** The memory is the front-end's from here on: it comes back by SET_INFLIGHT_FD, or never. */
  #get({ view }: IncomingMessage): ReplyWithFd {
    const { numQueues, queueSize } = this.#checkedNumbers(view);
    // The driver may not have said yet which kind its rings are: the areas of packed ones are the larger.
    const mmapSize = numQueues * inflightBytes(true, queueSize);
    const { mem, fd: fds, file } = this.#options.sys;
    const fd = new Fd(fds, check(mem.memfdCreate('vhost-inflight', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    try {
      check(file.ftruncate(fd.fd, mmapSize), 'ftruncate');
      check(mem.addSeals(fd.fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 'fcntl');
    } catch (error) {
      fd.close();
      throw error;
    }
    return { payload: encodeInflight({ mmapSize, mmapOffset: 0, numQueues, queueSize }), fd };
  }

  #set(message: IncomingMessage): null {
    const { view } = message;
    const fd = message.fds.take(0);
    try {
      if (this.#options.ringsRun()) {
        throw new VhostUserError('ERR_VU_STATE', 'frontend', 'in-flight memory while rings run');
      }
      this.install(
        {
          ...this.#checkedNumbers(view),
          mmapSize: VhostUserInflight.mmapSize.get(view, 0),
          mmapOffset: VhostUserInflight.mmapOffset.get(view, 0),
        },
        fd,
      );
    } catch (error) {
      fd.close();
      throw error;
    }
    return null;
  }

  #checkedNumbers(view: DataView): { numQueues: number; queueSize: number } {
    const numQueues = VhostUserInflight.numQueues.get(view, 0);
    const queueSize = VhostUserInflight.queueSize.get(view, 0);
    this.#checkNumbers(numQueues, queueSize);
    return { numQueues, queueSize };
  }

  #checkNumbers(numQueues: number, queueSize: number): void {
    const { queueCount, maxQueueSize } = this.#options.handler;
    if (numQueues < 1 || numQueues > queueCount || queueSize < 1 || queueSize > maxQueueSize) {
      throw refusal(`${numQueues} queues of ${queueSize}, the device has ${queueCount} of up to ${maxQueueSize}`);
    }
  }

  /** @returns how much of the file to map: what areas of either kind take, as far as it goes */
  #checkedLength({ mmapSize, mmapOffset, numQueues, queueSize }: WireInflight): number {
    this.#checkNumbers(numQueues, queueSize);
    const needed = numQueues * this.#bytes(queueSize);
    if (!Number.isSafeInteger(mmapSize + mmapOffset) || mmapSize < needed) {
      throw refusal(`${mmapSize} bytes at ${mmapOffset}, ${numQueues} queues of ${queueSize} need ${needed}`);
    }
    return Math.min(mmapSize, numQueues * inflightBytes(true, queueSize));
  }

  #bytes(queueSize: number): number {
    return inflightBytes(this.#options.negotiated.features.has(VIRTIO_F_RING_PACKED), queueSize);
  }
}

function refusal(detail: string): VhostUserError {
  return new VhostUserError('ERR_VU_INFLIGHT', 'frontend', detail);
}
