/** The back channel from the front-end's side: every request is checked, served and, where wanted, answered. */

import { isSafeUnsigned, rangeFits } from '@oriel/layout';
import { EINVAL, ENOSYS, EOPNOTSUPP, type EventLoop, Fd, type Logger, type Sys } from '@oriel/sys';
import { Channel, type IncomingMessage } from '../channel.ts';
import { VhostUserError } from '../errors.ts';
import {
  VHOST_USER_FLAG_MAP_RW,
  VHOST_USER_NEED_REPLY_MASK,
  VHOST_USER_REPLY_FLAGS,
  VHOST_USER_REPLY_MASK,
  VhostUserMMap,
} from '../layout.ts';
import { checkGate, checkShape, type Negotiated } from '../protocol/check.ts';
import { encodeU64 } from '../protocol/encode.ts';
import { backendMessage, type MessageSpec } from '../protocol/messages.ts';
import { RefusalLog } from '../refusal-log.ts';
import type { Announcer } from './announcer.ts';
import type { FrontendHandlers, ShmemRequest } from './handlers.ts';

/** What the server needs of its connection. */
export interface BackServerOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  readonly socket: Fd;
  readonly log: Logger;
  readonly negotiated: Negotiated;
  readonly handlers: FrontendHandlers;
  readonly shmRegions: () => readonly { readonly shmid: number; readonly size: number }[];
  /** Who tells the back-end of mappings, once they are answered. */
  readonly announcer: Announcer | null;
}

/** One served request: its error, and what follows when the answer is out. */
interface Served {
  readonly error: number;
  readonly after?: () => void;
}

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
    const spec = backendMessage(message.id);
    const served = this.#serve(message, spec);
    const answers = (message.flags & VHOST_USER_NEED_REPLY_MASK) !== 0 || (spec !== undefined && spec.reply !== 'ack');
    if (answers) {
      this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, encodeU64(served.error));
    }
    served.after?.();
  }

  #serve(message: IncomingMessage, spec: MessageSpec | undefined): Served {
    const { negotiated, handlers } = this.#options;
    if (spec === undefined || (message.flags & VHOST_USER_REPLY_MASK) !== 0) {
      const what = `request ${message.id}, flags 0x${message.flags.toString(16)}`;
      this.#refusals.refused(new VhostUserError('ERR_VU_UNKNOWN', 'backend', what));
      return { error: -ENOSYS };
    }
    try {
      checkShape(spec, message.view, message.size, message.fds.count, 'backend');
      checkGate(spec, negotiated, 'backend');
      switch (spec.name) {
        case 'SHMEM_MAP':
          return this.#map(this.#shmemRequest(message), message);
        case 'SHMEM_UNMAP':
          return this.#unmap(this.#shmemRequest(message));
        case 'CONFIG_CHANGE_MSG':
          handlers.configChange?.();
          return { error: 0 };
        default:
          return { error: -EOPNOTSUPP };
      }
    } catch (error) {
      if (!(error instanceof VhostUserError)) {
        throw error;
      }
      this.#refusals.refused(error);
      return { error: -EINVAL };
    }
  }

  #map(request: ShmemRequest, message: IncomingMessage): Served {
    const { handlers, announcer, sys } = this.#options;
    if (handlers.shmemMap === undefined) {
      return { error: -EOPNOTSUPP };
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
      return { error: -EOPNOTSUPP };
    }
    const error = handlers.shmemUnmap(request);
    return error === 0 && announcer !== null ? { error, after: () => announcer.unmapped(request) } : { error };
  }

  /** @throws VhostUserError ERR_VU_MEMORY for a range that no region has, or unknown flags */
  #shmemRequest({ view }: IncomingMessage): ShmemRequest {
    const flags = VhostUserMMap.flags.get(view, 0);
    const request = {
      shmid: VhostUserMMap.shmid.get(view, 0),
      fdOffset: VhostUserMMap.fdOffset.get(view, 0),
      shmOffset: VhostUserMMap.shmOffset.get(view, 0),
      len: VhostUserMMap.len.get(view, 0),
      writable: flags === VHOST_USER_FLAG_MAP_RW,
    };
    const size = this.#options.shmRegions().find((region) => region.shmid === request.shmid)?.size ?? 0;
    const good =
      (flags === 0 || flags === VHOST_USER_FLAG_MAP_RW) &&
      request.len > 0 &&
      rangeFits(request.shmOffset, request.len, size) &&
      isSafeUnsigned(request.fdOffset) &&
      isSafeUnsigned(request.fdOffset + request.len);
    if (!good) {
      throw new VhostUserError('ERR_VU_MEMORY', 'backend', `range ${JSON.stringify({ ...request, flags, size })}`);
    }
    return request;
  }
}

function tellAndClose(announcer: Announcer, request: ShmemRequest, fd: Fd): void {
  try {
    announcer.mapped(request, fd.fd);
  } finally {
    fd.close();
  }
}
