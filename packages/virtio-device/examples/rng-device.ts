/** An entropy device (VIRTIO 1.3, 5.4): fills every buffer that the driver offers with random bytes. */
import { FeatureSet } from '@oriel/vhost-user';
import type { VirtioDevice } from '@oriel/virtio-device';
import type { DeviceQueue } from '@oriel/virtqueue';

export class RngDevice implements VirtioDevice {
  readonly name = 'rng';
  readonly deviceId = 4;
  readonly features = new FeatureSet();
  readonly queueCount = 1;
  readonly maxQueueSize = 256;
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
      crypto.getRandomValues(this.#bytes);
      chain.queue.complete(chain, Math.max(chain.write(0, this.#bytes, 0, this.#bytes.length), 0));
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
