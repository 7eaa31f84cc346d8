/** The state of one client's connection that the hooks of its messages work on. */
import type { EventLoop, Logger } from '@oriel/sys';
import { ObjectTable } from '@oriel/wl';
import type { HostChannel, HostMemory } from '../channel/host-channel.ts';
import type { FileSys } from '../files/client-file.ts';
import type { ClientSocket } from './client-socket.ts';
import { Globals } from './globals.ts';
import type { Kinds, WlObject } from './objects.ts';
import type { Outgoing } from './outgoing.ts';
import type { Pipes } from './pipes.ts';

/** More than any client has; each takes about a hundred bytes. */
const MAX_OBJECTS = 65536;

export interface TranslationParts {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly kinds: Kinds;
  readonly channel: HostChannel;
  readonly toHost: Outgoing;
  readonly toClient: ClientSocket;
  readonly pipes: Pipes;
}

export class Translation implements TranslationParts {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly kinds: Kinds;
  readonly channel: HostChannel;
  readonly toHost: Outgoing;
  readonly toClient: ClientSocket;
  readonly pipes: Pipes;
  readonly objects = new ObjectTable<WlObject>(MAX_OBJECTS);
  readonly globals = new Globals();
  #placeholder: HostMemory | undefined;

  constructor(parts: TranslationParts) {
    this.sys = parts.sys;
    this.loop = parts.loop;
    this.log = parts.log;
    this.kinds = parts.kinds;
    this.channel = parts.channel;
    this.toHost = parts.toHost;
    this.toClient = parts.toClient;
    this.pipes = parts.pipes;
  }

  /** A page of host memory, which pools are of as long as they have no buffer. @throws ProxyError ERR_PROXY_MEMORY */
  placeholder(): HostMemory {
    this.#placeholder ??= this.channel.allocate(1);
    return this.#placeholder;
  }
}
