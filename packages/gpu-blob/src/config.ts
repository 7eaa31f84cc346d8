/** The configuration space (`struct virtio_gpu_config`), with its events. */
import { VirtioGpuConfig } from './protocol/layout.ts';

/** What the driver reads there. */
export interface ConfigFields {
  readonly numScanouts: number;
  readonly numCapsets: number;
  /** Bytes; 0 where the feature is not offered. */
  readonly blobAlignment: number;
}

/** 20 bytes, of which the driver changes one: `events_clear`. */
export class ConfigSpace {
  readonly bytes = new Uint8Array(VirtioGpuConfig.byteLength);
  readonly #view = new DataView(this.bytes.buffer);

  constructor(fields: ConfigFields) {
    VirtioGpuConfig.numScanouts.set(this.#view, 0, fields.numScanouts);
    VirtioGpuConfig.numCapsets.set(this.#view, 0, fields.numCapsets);
    VirtioGpuConfig.blobAlignment.set(this.#view, 0, fields.blobAlignment);
  }

  /** Events that the driver has not cleared: VIRTIO_GPU_EVENT_*. */
  get events(): number {
    return VirtioGpuConfig.eventsRead.get(this.#view, 0);
  }

  raise(event: number): void {
    VirtioGpuConfig.eventsRead.set(this.#view, 0, this.events | event);
  }

  /**
   * A write of the driver: bits in events_clear go from events_read. Front-ends write the whole space back, so every
   * other byte is ignored (VIRTIO 1.3, 5.7.4: those fields are read-only).
   */
  write(offset: number, from: Uint8Array): void {
    const whole = new Uint8Array(VirtioGpuConfig.byteLength);
    whole.set(from, offset);
    const clear = VirtioGpuConfig.eventsClear.get(new DataView(whole.buffer), 0);
    VirtioGpuConfig.eventsRead.set(this.#view, 0, (this.events & ~clear) >>> 0);
  }

  reset(): void {
    VirtioGpuConfig.eventsRead.set(this.#view, 0, 0);
  }
}
