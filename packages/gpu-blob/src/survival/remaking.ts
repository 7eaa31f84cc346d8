/** Host memory of a process before, for what is made anew by the command that made it then. */
import type { Fd } from '@oriel/sys';
import type { Capsets } from '../contexts/capsets.ts';
import type { BlobRequest, HostBlob, KeptMemory } from '../contexts/context-type.ts';
import { type GpuStatus, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY } from '../protocol/values.ts';

/** The memory of one resource. */
export class Remaking implements Disposable {
  readonly #capsets: Capsets;
  readonly #capsetId: number;
  readonly #memory: KeptMemory;
  #file: Fd | null;

  /** @param file - given away; null: the resource has no host memory @param capsetId - of the type that gave it, or 0 */
  constructor(capsets: Capsets, file: Fd | null, capsetId: number, memory: KeptMemory) {
    this.#capsets = capsets;
    this.#file = file;
    this.#capsetId = capsetId;
    this.#memory = memory;
  }

  /** The file, given away; null: there is none. */
  takeFile(): Fd | null {
    const file = this.#file;
    this.#file = null;
    return file;
  }

  /** The memory as the blob that it was. */
  hostBlob(request: BlobRequest): HostBlob | GpuStatus {
    const file = this.takeFile();
    if (file === null) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    const memory = this.#memory;
    const type = this.#capsetId === 0 ? null : this.#capsets.byId(this.#capsetId);
    if (type?.restoreBlob !== undefined) {
      return type.restoreBlob(file, { ...request, memory }) ?? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    return { ...memory, fd: file.fd, [Symbol.dispose]: () => file.close() };
  }

  [Symbol.dispose](): void {
    this.takeFile()?.close();
  }
}
