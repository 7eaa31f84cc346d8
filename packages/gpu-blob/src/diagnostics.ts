/** What the device does, for whoever looks: nothing is made while nobody subscribes. */
import diagnostics from 'node:diagnostics_channel';

/** Published on `oriel:gpu`. */
export type GpuEvent =
  | {
      readonly type: 'command';
      /** The specification's name, or the number of an unknown one. */
      readonly command: string;
      readonly ctxId: number;
      readonly fenced: boolean;
      /** VIRTIO_GPU_RESP_*; 0 while it is pending. */
      readonly status: number;
    }
  | { readonly type: 'finished'; readonly command: string; readonly status: number };

export const gpuChannel = diagnostics.channel('oriel:gpu');

/** Publishes. Call it only when `gpuChannel.hasSubscribers`. */
export function publish(event: GpuEvent): void {
  gpuChannel.publish(event);
}
