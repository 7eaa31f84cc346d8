/** The device: it answers each request with the same bytes in reverse. */
import { FeatureSet } from '@oriel/vhost-user';
import type { VirtioDevice } from '@oriel/virtio-device';
import type { DeviceQueue } from '@oriel/virtqueue';

export class MyDevice implements VirtioDevice {
  readonly name = 'my-device';
  /** From VIRTIO's list of device ids: QEMU's test device takes only ids that stand there. */
  readonly deviceId = 21;
  readonly features = new FeatureSet();
  readonly queueCount = 1;
  readonly maxQueueSize = 64;
  readonly config = new Uint8Array(0);
  readonly #bytes = new Uint8Array(4096);
  #queue: DeviceQueue | null = null;

  attach(): void {}

  startQueue(_index: number, queue: DeviceQueue): void {
    this.#queue = queue;
  }

  process(_index: number, budget: number): boolean {
    for (let taken = 0; taken < budget; taken++) {
      const chain = this.#queue?.next();
      if (!chain) return false;
      // The driver is not to be trusted: it says how long both parts are, and may have sent nothing at all.
      const len = Math.max(chain.read(0, this.#bytes, 0, this.#bytes.length), 0);
      this.#bytes.subarray(0, len).reverse();
      const written = chain.write(0, this.#bytes, 0, len);
      chain.queue.complete(chain, Math.max(written, 0));
    }
    return true;
  }

  stopQueue(): void {
    this.#queue = null;
  }

  reset(): void {}
  detach(): void {}
  [Symbol.dispose](): void {}
}
