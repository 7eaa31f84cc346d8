/** The back channel from the front-end's side: every request is checked, served and, where wanted, answered. */
import { EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, type EventLoop, Fd, type Logger, type Sys } from '@oriel/sys';
import { Channel } from '../channel.ts';
import { VhostUserError } from '../errors.ts';
import { VHOST_USER_NEED_REPLY_MASK, VHOST_USER_REPLY_FLAGS, VHOST_USER_REPLY_MASK } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { checkGate, checkShape, type Negotiated } from '../protocol/check.ts';
import { encodeU64 } from '../protocol/encode.ts';
import { type BackendMessageName, backendMessage, type MessageSpec } from '../protocol/messages.ts';
import { RefusalLog } from '../refusal-log.ts';
import type { Announcer } from './announcer.ts';
import { checkIotlb, checkNotifier, checkRing, checkShmem, uuidOf } from './check-request.ts';
import type { FrontendHandlers, ShmemRequest } from './handlers.ts';
import type { ShmRegion } from './negotiate.ts';
import type { ObjectExporter, SharedObjects } from './shared-objects.ts';

/** What the server needs of its connection. */
export interface BackServerOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  readonly socket: Fd;
  readonly log: Logger;
  readonly negotiated: Negotiated;
  readonly handlers: FrontendHandlers;
  readonly shmRegions: () => readonly ShmRegion[];
  readonly queueCount: () => number;
  /** Where shared objects are known, and who this back-end is there. */
  readonly objects: SharedObjects | null;
  readonly exporter: ObjectExporter;
  /** Who tells the back-end of mappings, once they are answered. */
  readonly announcer: Announcer | null;
}

/** One served request: its error, and what follows when the answer is out. */
interface Served {
  readonly error: number;
  readonly after?: () => void;
}

const GOOD: Served = { error: 0 };
const NOT_SERVED: Served = { error: -EOPNOTSUPP };

/** Serves one back channel. */
export class BackServer implements Disposable {
  readonly #options: BackServerOptions;
  readonly #channel: Channel;
  readonly #refusals: RefusalLog;

  constructor(options: BackServerOptions) {
    this.#options = options;
    this.#refusals = new RefusalLog(options.log, 'back-channel request refused');
    this.#channel = new Channel({
      sys: options.sys,
      loop: options.loop,
      socket: options.socket,
      name: 'back',
      peer: 'backend',
      whileSending: 'pause',
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) =>
        options.log.debug('back channel ended', { reason: error === null ? 'closed' : error.message }),
    });
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }

  /** A bad request is refused and the channel stays: the stream itself is still in step. */
  #onMessage(message: IncomingMessage): void {
    const { id } = message;
    const spec = backendMessage(id);
    const answers = (message.flags & VHOST_USER_NEED_REPLY_MASK) !== 0 || (spec !== undefined && spec.reply !== 'ack');
    const served = this.#serve(message, spec);
    if (served === 'later') {
      return;
    }
    if (answers) {
      this.#channel.send(id, VHOST_USER_REPLY_FLAGS, encodeU64(served.error));
    }
    served.after?.();
  }

  #serve(message: IncomingMessage, spec: MessageSpec<BackendMessageName> | undefined): Served | 'later' {
    if (spec === undefined || (message.flags & VHOST_USER_REPLY_MASK) !== 0) {
      const what = `request ${message.id}, flags 0x${message.flags.toString(16)}`;
      this.#refusals.refused(new VhostUserError('ERR_VU_UNKNOWN', 'backend', what));
      return { error: -ENOSYS };
    }
    try {
      checkShape(spec, message.view, message.size, message.fds.count, 'backend');
      checkGate(spec, this.#options.negotiated, 'backend');
      return this.#dispatch(message, spec.name);
    } catch (error) {
      if (!(error instanceof VhostUserError)) {
        throw error;
      }
      this.#refusals.refused(error);
      return { error: -EINVAL };
    }
  }

  #dispatch(message: IncomingMessage, name: BackendMessageName): Served | 'later' {
    const { handlers, shmRegions } = this.#options;
    const queueCount = this.#options.queueCount();
    switch (name) {
      case 'SHMEM_MAP':
        return this.#map(checkShmem(message, shmRegions()), message);
      case 'SHMEM_UNMAP':
        return this.#unmap(checkShmem(message, shmRegions()));
      case 'CONFIG_CHANGE_MSG':
        handlers.configChange?.();
        return GOOD;
      case 'VRING_CALL':
        return this.#ring(checkRing(message, queueCount), 'ringCalled');
      case 'VRING_ERR':
        return this.#ring(checkRing(message, queueCount), 'ringFailed');
      case 'IOTLB_MSG': {
        const request = checkIotlb(message);
        return handlers.iotlb === undefined ? NOT_SERVED : { error: handlers.iotlb(request) };
      }
      case 'VRING_HOST_NOTIFIER_MSG':
        return this.#notifier(message, queueCount);
      case 'SHARED_OBJECT_ADD':
      case 'SHARED_OBJECT_REMOVE':
        return this.#object(uuidOf(message), name);
      case 'SHARED_OBJECT_LOOKUP':
        return this.#lookup(uuidOf(message), message.id);
    }
  }

  #ring(index: number, told: 'ringCalled' | 'ringFailed'): Served {
    const { handlers } = this.#options;
    handlers[told]?.(index);
    return handlers[told] === undefined ? NOT_SERVED : GOOD;
  }

  #notifier(message: IncomingMessage, queueCount: number): Served {
    const { handlers } = this.#options;
    const notifier = checkNotifier(message, queueCount);
    if (handlers.hostNotifier === undefined) {
      return NOT_SERVED;
    }
    return { error: handlers.hostNotifier(notifier, message.fds.count === 0 ? null : message.fds.take(0)) };
  }

  #object(uuid: Uint8Array, name: 'SHARED_OBJECT_ADD' | 'SHARED_OBJECT_REMOVE'): Served {
    const { objects, exporter } = this.#options;
    if (objects === null) {
      return NOT_SERVED;
    }
    const done = name === 'SHARED_OBJECT_ADD' ? objects.add(uuid, exporter) : objects.remove(uuid, exporter);
    return done ? GOOD : { error: -EPERM };
  }

  /** Another back-end has to be asked: nothing more is read meanwhile, since answers come in the order of the requests. */
  #lookup(uuid: Uint8Array, id: number): Served | 'later' {
    const { objects } = this.#options;
    if (objects === null) {
      return NOT_SERVED;
    }
    this.#channel.pause();
    objects.lookup(uuid, (fd) => {
      this.#channel.send(id, VHOST_USER_REPLY_FLAGS, encodeU64(fd === null ? -ENOENT : 0), fd === null ? [] : [fd.fd]);
      fd?.close();
      this.#channel.resume();
    });
    return 'later';
  }

  #map(request: ShmemRequest, message: IncomingMessage): Served {
    const { handlers, announcer, sys } = this.#options;
    if (handlers.shmemMap === undefined) {
      return NOT_SERVED;
    }
    const fd = message.fds.take(0);
    if (announcer === null) {
      return { error: handlers.shmemMap(request, fd) };
    }
    const copy = sys.fd.dup(fd.fd);
    if (copy < 0) {
      fd.close();
      return { error: copy };
    }
    const owned = new Fd(sys.fd, copy);
    try {
      const error = handlers.shmemMap(request, fd);
      if (error === 0) {
        // Told once the answer is out, as QEMU does: until then the back-end may not expect it.
        const kept = new Fd(sys.fd, owned.take());
        return { error, after: () => tellAndClose(announcer, request, kept) };
      }
      return { error };
    } finally {
      owned.close();
    }
  }

  #unmap(request: ShmemRequest): Served {
    const { handlers, announcer } = this.#options;
    if (handlers.shmemUnmap === undefined) {
      return NOT_SERVED;
    }
    const error = handlers.shmemUnmap(request);
    return error === 0 && announcer !== null ? { error, after: () => announcer.unmapped(request) } : { error };
  }
}

function tellAndClose(announcer: Announcer, request: ShmemRequest, fd: Fd): void {
  try {
    announcer.mapped(request, fd.fd);
  } finally {
    fd.close();
  }
}
