/** A cross-domain context: one guest program between its rings and one host socket. */
import {
  type BlobRequest,
  type Context,
  type ContextHost,
  type GpuStatus,
  type HostBlob,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import { errnoName, escapeBytes } from '@oriel/sys';
import type { Channel } from './channel/channel.ts';
import type { Connection } from './channel/connection.ts';
import { runCommands } from './commands/commands.ts';
import { Deliveries } from './events/deliveries.ts';
import type { Ring } from './events/ring.ts';
import { Templates } from './images/templates.ts';
import type { Outbox } from './io/outbox.ts';
import { Items } from './items/items.ts';
import type { Lingering } from './items/lingering.ts';
import { ReceivedFile } from './items/received-file.ts';
import type { QuotaSource } from './limits.ts';
import type { Program, Shared } from './program.ts';
import { CROSS_DOMAIN_CHANNEL_RING, CROSS_DOMAIN_QUERY_RING } from './protocol/values.ts';
import { type BlobSource, withEnd } from './received/blob-source.ts';
import type { Surroundings } from './surroundings.ts';

/** Each holds a chain of the control queue, which all programs of the guest share. */
const MOST_HELD = 16;

/** What a context is given besides its host. */
export interface ContextParts {
  readonly shared: Shared;
  readonly quotas: QuotaSource;
  readonly memory: BlobSource;
  readonly lingering: Lingering;
  say(text: string): void;
}

export class CrossDomainContext implements Context, Program {
  readonly host: ContextHost;
  readonly around: Surroundings;
  readonly shared: Shared;
  readonly items = new Items();
  readonly templates = new Templates();
  channel: Channel | null = null;
  queryRing: Ring | null = null;
  connection: Connection | null = null;
  crowded: Outbox | null = null;
  /** Submits whose answer waits for room. */
  #held = 0;

  /** @param debugName - the program's, for log lines */
  constructor(host: ContextHost, debugName: string, parts: ContextParts) {
    const { shared, quotas, memory, lingering } = parts;
    const who = `cross-domain: context ${host.ctxId} (${escapeBytes(new TextEncoder().encode(debugName))})`;
    this.host = host;
    this.shared = shared;
    this.around = {
      host,
      memory,
      lingering,
      limits: quotas.limits,
      quotas: quotas.forContext(),
      deliveries: new Deliveries((error) => this.#ringLost(error)),
      say: (text) => parts.say(`${who}: ${text}`),
    };
  }

  submit(commands: Uint8Array, done: (status: GpuStatus) => void): void {
    const status = runCommands(this, commands);
    const crowded = this.#takeCrowded();
    if (crowded === null || status !== VIRTIO_GPU_RESP_OK_NODATA || this.#held >= MOST_HELD) {
      done(status);
      return;
    }
    this.#held++;
    crowded.whenRoom(() => {
      this.#held--;
      done(status);
    });
  }

  /** Those of the channel ring wait for a message each. */
  fence(ring: number, done: () => void): void {
    if (ring === CROSS_DOMAIN_CHANNEL_RING) {
      this.around.deliveries.fence(done);
      return;
    }
    if (ring > CROSS_DOMAIN_QUERY_RING) this.around.say(`there is no ring ${ring}: its fence is reached at once`);
    done();
  }

  createBlob({ blobIdLo, blobIdHi, size, blobMem }: BlobRequest): HostBlob | GpuStatus {
    const { memory, quotas } = this.around;
    const template = this.templates.sizeOf(blobIdLo);
    const item = this.items.get(blobIdLo);
    const most = template ?? (item instanceof ReceivedFile ? item.size : 0);
    if (blobIdHi !== 0 || blobMem !== VIRTIO_GPU_BLOB_MEM_HOST3D || size > most) {
      return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    if (!quotas.blobs.take(1)) {
      this.around.say(`it has ${quotas.blobs.used} blobs, which is the most`);
      return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    const blob = item instanceof ReceivedFile ? this.#claim(blobIdLo, item) : memory.make(most, 'image', quotas.bytes);
    if (blob === null) {
      quotas.blobs.give(1);
      return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    return withEnd(blob, blob.label, () => quotas.blobs.give(1));
  }

  /** What came from the host outside of the VM's standing still waits in its socket. */
  suspend(): void {
    this.around.deliveries.suspend();
  }

  resume(): void {
    this.around.deliveries.resume();
  }

  [Symbol.dispose](): void {
    this.connection?.[Symbol.dispose]();
    this.items[Symbol.dispose]();
    this.shared.sockets.forget(this.around);
    this.around.deliveries.close();
  }

  #takeCrowded(): Outbox | null {
    const { crowded } = this;
    this.crowded = null;
    return crowded;
  }

  #claim(id: number, item: ReceivedFile): HostBlob | null {
    this.items.take(id);
    return item.take();
  }

  /** The guest took its ring away: nothing can be told to it any more. */
  #ringLost(error: number): void {
    this.around.say(`its channel ring cannot be written (${errnoName(-error)}), so its connection ends`);
    this.connection?.[Symbol.dispose]();
    this.items[Symbol.dispose]();
    this.around.deliveries.close();
  }
}
