/** What can be watched: one channel of `node:diagnostics_channel`, costing one flag test where nobody looks. */
import { type Channel, channel } from 'node:diagnostics_channel';

/** A message on the channel `oriel:virtio`. `device` is the device's name. */
export type VirtioEvent =
  | { readonly type: 'connected' | 'disconnected' | 'running' | 'suspended' | 'reset'; readonly device: string }
  | {
      readonly type: 'queue-start';
      readonly device: string;
      readonly queue: number;
      readonly size: number;
      readonly base: number;
    }
  | { readonly type: 'queue-stop'; readonly device: string; readonly queue: number; readonly base: number }
  | {
      readonly type: 'queue-error';
      readonly device: string;
      readonly queue: number;
      readonly error: Error;
      readonly broken: boolean;
    }
  /** One call of `process`: chains taken and completed in it, and its time in ns. */
  | {
      readonly type: 'batch';
      readonly device: string;
      readonly queue: number;
      readonly chains: number;
      readonly completed: number;
      readonly elapsedNs: number;
    };

/** The channel: subscribe to see connections, queues and batches of every device in this thread. */
export const virtioChannel: Channel = channel('oriel:virtio');

/** Publishes; call it behind `virtioChannel.hasSubscribers`, so that the event is not built for nobody. */
export function publish(event: VirtioEvent): void {
  virtioChannel.publish(event);
}
