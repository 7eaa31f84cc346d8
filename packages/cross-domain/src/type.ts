/** The context type `cross-domain` (capset 5). */
import type { Context, ContextHost, ContextType } from '@oriel/gpu-blob';
import { type Logger, type Sys, silentLogger } from '@oriel/sys';
import { RateLimit } from '@oriel/virtio-device';
import type { Door } from './channel/door.ts';
import { InternalSockets } from './channel/internal-sockets.ts';
import { initAgain } from './commands/init.ts';
import { type ContextParts, CrossDomainContext } from './context.ts';
import { CrossDomainError } from './errors.ts';
import { Scratch } from './events/ring.ts';
import type { HandleExporter } from './handle-exporter.ts';
import { Lingering } from './items/lingering.ts';
import { type CrossDomainLimits, completeLimits, QuotaSource } from './limits.ts';
import { CrossDomainCapabilities } from './protocol/layout.ts';
import { CROSS_DOMAIN_CAPSET_ID, CROSS_DOMAIN_MAX_IDENTIFIERS, CROSS_DOMAIN_VERSION } from './protocol/values.ts';
import { BlobSource } from './received/blob-source.ts';

/** A host socket that guest programs may reach. */
export interface HostChannel {
  /** CROSS_DOMAIN_CHANNEL_TYPE_*, 1 to 31. */
  readonly type: number;
  /** The way to it; owned by the context type from now on. */
  readonly door: Door;
}

export interface CrossDomainOptions {
  readonly sys: Sys;
  /** What can be reached: nothing else. Default none: programs then only get memory for pictures. */
  readonly channels?: readonly HostChannel[];
  readonly limits?: Partial<CrossDomainLimits>;
  /** Lends files of a virtio-fs device; absent: commands that need it are refused. Not owned. */
  readonly exporter?: HandleExporter;
  readonly log?: Logger;
}

const MOST_CHANNEL_TYPE = 31;

/** Contexts that each connect one guest program to one host socket. */
export class CrossDomainContextType implements ContextType, Disposable {
  readonly capsetId = CROSS_DOMAIN_CAPSET_ID;
  readonly name = 'cross-domain';
  /** The data says version 1, and GET_CAPSET_INFO 0, as programs expect it. */
  readonly maxVersion = 0;
  readonly capset: Uint8Array;
  readonly #doors: ReadonlyMap<number, Door>;
  readonly #quotas: QuotaSource;
  readonly #lingering = new Lingering();
  readonly #parts: ContextParts;

  /** @throws CrossDomainError ERR_CROSS_DOMAIN_CHANNEL, ERR_CROSS_DOMAIN_LIMIT */
  constructor(options: CrossDomainOptions) {
    const { sys, channels = [], exporter = null, log = silentLogger } = options;
    this.#quotas = new QuotaSource(completeLimits(options.limits ?? {}));
    this.#doors = doorsOf(channels);
    this.capset = capsetFor([...this.#doors.keys()]);
    const rate = new RateLimit(() => sys.loop.nowNs());
    this.#parts = {
      shared: {
        doors: this.#doors,
        exporter,
        sockets: new InternalSockets(),
        scratch: new Scratch(),
        fds: new Int32Array(CROSS_DOMAIN_MAX_IDENTIFIERS),
      },
      quotas: this.#quotas,
      memory: new BlobSource(sys),
      lingering: this.#lingering,
      say: (text) => {
        if (rate.allow()) log.warn(`${text}${rate.tail()}`);
      },
    };
  }

  /** What is held for guest programs now: descriptors, bytes, and pipes of programs that have ended. */
  get stats(): { readonly fds: number; readonly bytes: number; readonly lingering: number } {
    return { ...this.#quotas.used, lingering: this.#lingering.size };
  }

  create(host: ContextHost, debugName: string): Context {
    return new CrossDomainContext(host, debugName, this.#parts);
  }

  /** Connections do not outlive the process: programs are told their end. */
  restore(host: ContextHost, debugName: string): Context {
    const context = new CrossDomainContext(host, debugName, this.#parts);
    initAgain(context);
    return context;
  }

  /** Call it when all contexts have ended. */
  [Symbol.dispose](): void {
    this.#lingering[Symbol.dispose]();
    for (const door of this.#doors.values()) door[Symbol.dispose]();
  }
}

function doorsOf(channels: readonly HostChannel[]): ReadonlyMap<number, Door> {
  const doors = new Map<number, Door>();
  for (const { type, door } of channels) {
    if (!Number.isInteger(type) || type < 1 || type > MOST_CHANNEL_TYPE) {
      throw new CrossDomainError('ERR_CROSS_DOMAIN_CHANNEL', `channel type ${type}, want 1 to ${MOST_CHANNEL_TYPE}`);
    }
    if (doors.has(type)) throw new CrossDomainError('ERR_CROSS_DOMAIN_CHANNEL', `two channels of type ${type}`);
    doors.set(type, door);
  }
  return doors;
}

/** No dma-bufs: memory is memfds, which are none. */
function capsetFor(types: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(CrossDomainCapabilities.byteLength);
  const view = new DataView(bytes.buffer);
  let channels = 0;
  for (const type of types) channels |= 1 << type;
  CrossDomainCapabilities.version.set(view, 0, CROSS_DOMAIN_VERSION);
  CrossDomainCapabilities.supportedChannels.set(view, 0, channels >>> 0);
  return bytes;
}
