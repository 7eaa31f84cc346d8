/** A context whose process ended, of a type that cannot go on with it. */
import { type GpuStatus, VIRTIO_GPU_RESP_ERR_UNSPEC } from '../protocol/values.ts';
import type { Context } from './context-type.ts';

/** Waits for its CTX_DESTROY. */
export class EndedContext implements Context {
  submit(_commands: Uint8Array, done: (status: GpuStatus) => void): void {
    done(VIRTIO_GPU_RESP_ERR_UNSPEC);
  }

  fence(_ring: number, done: () => void): void {
    done();
  }

  createBlob(): GpuStatus {
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }

  [Symbol.dispose](): void {}
}
