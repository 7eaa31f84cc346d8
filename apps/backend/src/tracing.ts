/** What the packages publish, as log lines: vhost-user messages at debug, requests at trace. Nothing is built unless asked for. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ReplyTrace } from '@oriel/fuse';
import type { GpuEvent } from '@oriel/gpu-blob';
import type { Logger } from '@oriel/sys';
import type { VhostUserEvent } from '@oriel/vhost-user';
import type { LogLevel } from './logging.ts';

/** Subscribes this thread's log to the channels that its level asks for, until it is disposed. */
export function traceTo(log: Logger, level: LogLevel): Disposable {
  const subscriptions = new Map<string, (message: unknown) => void>();
  if (level === 'debug' || level === 'trace') {
    subscriptions.set('oriel:vhost-user', (message) => {
      const { channel, direction, name, flags, size, fds } = message as VhostUserEvent;
      log.debug(`${channel} channel ${direction} ${name}`, { flags, size, fds });
    });
  }
  if (level === 'trace') {
    subscriptions.set('oriel:fuse:reply', (message) => {
      const { name, nodeid, error, written } = message as ReplyTrace;
      log.trace(name, { nodeid, error, written });
    });
    subscriptions.set('oriel:gpu', (message) => {
      const { type, command, ...fields } = message as GpuEvent;
      log.trace(`${command} ${type}`, fields);
    });
  }
  for (const [name, handler] of subscriptions) {
    subscribe(name, handler);
  }
  return {
    [Symbol.dispose]() {
      for (const [name, handler] of subscriptions) {
        unsubscribe(name, handler);
      }
    },
  };
}
