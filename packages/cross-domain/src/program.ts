/** One guest program's side of the host: its rings, its connection, and what it can name. */
import type { ContextHost } from '@oriel/gpu-blob';
import type { Channel } from './channel/channel.ts';
import type { Connection } from './channel/connection.ts';
import type { Door } from './channel/door.ts';
import type { InternalSockets } from './channel/internal-sockets.ts';
import type { Ring, Scratch } from './events/ring.ts';
import type { HandleExporter } from './handle-exporter.ts';
import type { Templates } from './images/templates.ts';
import type { Outbox } from './io/outbox.ts';
import type { Items } from './items/items.ts';
import type { Surroundings } from './surroundings.ts';

/** What all contexts of a type share. */
export interface Shared {
  /** By channel type. */
  readonly doors: ReadonlyMap<number, Door>;
  readonly exporter: HandleExporter | null;
  readonly sockets: InternalSockets;
  readonly scratch: Scratch;
  /** For the descriptors of one SEND. */
  readonly fds: Int32Array;
}

/** What the commands of one context work on. */
export interface Program {
  readonly host: ContextHost;
  readonly around: Surroundings;
  readonly shared: Shared;
  readonly items: Items;
  readonly templates: Templates;
  /** Null before INIT. */
  channel: Channel | null;
  queryRing: Ring | null;
  /** Null before INIT, and for programs that only want memory for pictures. */
  connection: Connection | null;
  /** Where the submit at hand left more than is good. */
  crowded: Outbox | null;
}
