/** Mapping requests as a transport for shared memory regions, each done when the guest sees its effect. */

import { fileIdentity, type GuestMemory } from '@oriel/guest-memory';
import type { MapTransport, WireMapping } from '@oriel/shm-region';
import { ECANCELED, type EventLoop, type Logger, type Sys } from '@oriel/sys';
import type { MapDialect } from '../dialect/map-dialect.ts';
import type { FrontendProfile } from '../profiles.ts';
import type { MessageSpec } from '../protocol/messages.ts';
import type { BackChannel } from './back-channel.ts';
import { type Fence, Fences } from './fence.ts';

/** A request that every front-end refuses: what the barrier sends. */
const NOTHING: WireMapping = { shmid: 0, fdOffset: 0, shmOffset: 0, len: 0, writable: false };

/** What the transport needs of the connection. */
export interface ShmemTransportOptions {
  readonly sys: Pick<Sys, 'file'>;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly profile: FrontendProfile;
  /** How the requests look on the wire. */
  readonly dialect: MapDialect;
  readonly memory: GuestMemory;
  readonly backChannel: BackChannel;
  /** Negotiated, and between start and stop of the rings. */
  readonly ready: () => boolean;
}

/** The mappings of a connection on their way to the front-end. */
export class ShmemTransport implements MapTransport {
  readonly fences: Fences;
  readonly #options: ShmemTransportOptions;
  #barrierOut = false;

  constructor(options: ShmemTransportOptions) {
    this.#options = options;
    this.fences = new Fences({
      loop: options.loop,
      timeoutMs: options.profile.fenceTimeoutMs,
      regions: () => options.memory.regions,
      barrier: () => this.#barrier(),
      stopping: () => !this.ready,
    });
  }

  get ready(): boolean {
    return this.#options.ready();
  }

  /** @param fd - lent until `done` */
  map(request: WireMapping, fd: number, done: (error: number) => void): void {
    const file = this.#fenced ? fileIdentity(this.#options.sys, fd) : null;
    const { dialect } = this.#options;
    this.#send(dialect.map, dialect.encodeMap(request), fd, done, (effect) =>
      this.fences.beginMap(request, file, effect),
    );
  }

  unmap(request: WireMapping, done: (error: number) => void): void {
    const { dialect } = this.#options;
    this.#send(dialect.unmap, dialect.encodeUnmap(request), -1, done, (effect) =>
      this.fences.beginUnmap(request, effect),
    );
  }

  get #fenced(): boolean {
    return this.#options.profile.visibility === 'memory-update';
  }

  #send(
    spec: MessageSpec,
    payload: Uint8Array,
    fd: number,
    done: (error: number) => void,
    begin: (effect: () => void) => Fence,
  ): void {
    if (!this.ready) {
      this.#options.loop.defer(() => done(-ECANCELED));
      return;
    }
    const fence = this.#fenced ? begin(() => done(0)) : null;
    this.#options.backChannel.request({
      spec,
      payload,
      fd,
      done: (error) => {
        if (fence === null) {
          done(error);
        } else if (error === 0) {
          fence.answered();
        } else {
          fence.abandon();
          done(error);
        }
      },
    });
  }

  /** A round trip that changes nothing: its answer proves that every request answered before is in effect. */
  #barrier(): void {
    if (this.#options.profile.refusalIsFatal) {
      this.#options.log.warn('no memory-table update after a mapping request; taken as done');
      this.fences.releaseAnswered();
      return;
    }
    if (this.#barrierOut) {
      return;
    }
    this.#barrierOut = true;
    const { dialect } = this.#options;
    this.#options.backChannel.request({
      spec: dialect.unmap,
      payload: dialect.encodeUnmap(NOTHING),
      fd: -1,
      done: () => {
        this.#barrierOut = false;
      },
    });
  }
}
