/** What can be watched: every message of both channels, at the cost of one flag test where nobody looks. */
import { type Channel, channel } from 'node:diagnostics_channel';
import { backendMessage, frontendMessage } from './protocol/messages.ts';

/** A message on the channel `oriel:vhost-user`. */
export interface VhostUserEvent {
  readonly channel: 'main' | 'back';
  readonly direction: 'in' | 'out';
  /** Name in the table; the number where it is not there. */
  readonly name: string;
  readonly flags: number;
  /** Payload bytes. */
  readonly size: number;
  /** Descriptors with it. */
  readonly fds: number;
}

/** The channel: subscribe to see the messages of every connection in this thread. */
export const vhostUserChannel: Channel = channel('oriel:vhost-user');

/** Publishes one message; call it behind `vhostUserChannel.hasSubscribers`. */
export function publishMessage(
  on: VhostUserEvent['channel'],
  direction: VhostUserEvent['direction'],
  id: number,
  flags: number,
  size: number,
  fds: number,
): void {
  const spec = on === 'main' ? frontendMessage(id) : backendMessage(id);
  const event: VhostUserEvent = { channel: on, direction, name: spec?.name ?? String(id), flags, size, fds };
  vhostUserChannel.publish(event);
}
