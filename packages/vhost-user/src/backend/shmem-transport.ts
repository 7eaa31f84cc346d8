/** SHMEM_MAP and SHMEM_UNMAP as a transport for shared memory regions, each done when the guest sees its effect. */

import { fileIdentity, type GuestMemory } from '@oriel/guest-memory';
import type { MapTransport, WireMapping } from '@oriel/shm-region';
import { ECANCELED, type EventLoop, type Logger, type Sys } from '@oriel/sys';
import type { FrontendProfile } from '../profiles.ts';
import { encodeMMap } from '../protocol/encode.ts';
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
    this.#send('SHMEM_MAP', request, fd, done, (effect) => this.fences.beginMap(request, file, effect));
  }

  unmap(request: WireMapping, done: (error: number) => void): void {
    this.#send('SHMEM_UNMAP', request, -1, done, (effect) => this.fences.beginUnmap(request, effect));
  }

  get #fenced(): boolean {
    return this.#options.profile.visibility === 'memory-update';
  }

  #send(
    name: 'SHMEM_MAP' | 'SHMEM_UNMAP',
    request: WireMapping,
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
      name,
      payload: encodeMMap(request),
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
    this.#options.backChannel.request({
      name: 'SHMEM_UNMAP',
      payload: encodeMMap(NOTHING),
      fd: -1,
      done: () => {
        this.#barrierOut = false;
      },
    });
  }
}
