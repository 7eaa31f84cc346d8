/** A console (VIRTIO 1.3, 5.3) on two descriptors of this process: the terminal, as a rule. */
import { EAGAIN, EPOLLIN, SysError, type Watch } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';

export const VIRTIO_ID_CONSOLE = 3;
const VIRTIO_CONSOLE_F_SIZE = 0;
/** The queues of port 0: what the guest receives, and what it prints. */
const RECEIVE = 0;
const TRANSMIT = 1;

export interface ConsoleOptions {
  /** Lent. What is typed for the guest; default: nothing ever is. */
  readonly input?: number;
  /** Lent, in blocking mode: a reader that does not read stops the guest's output, and the device with it. */
  readonly output: number;
  /** Of the terminal, where it is one. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** One port, no multiport feature. */
export class ConsoleDevice implements VirtioDevice {
  readonly name = 'console';
  readonly deviceId = VIRTIO_ID_CONSOLE;
  readonly features: FeatureSet;
  readonly queueCount = 2;
  readonly maxQueueSize = 64;
  /** `struct virtio_console_config`: cols, rows, max_nr_ports, emerg_wr. */
  readonly config = new Uint8Array(12);
  readonly #options: ConsoleOptions;
  readonly #bytes = new Uint8Array(4096);
  readonly #queues: (DeviceQueue | null)[] = [null, null];
  #host: DeviceHost | null = null;
  #input: Watch | null = null;

  constructor(options: ConsoleOptions) {
    const { columns, rows } = options;
    this.#options = options;
    const sized = columns !== undefined && rows !== undefined;
    this.features = sized ? FeatureSet.of(VIRTIO_CONSOLE_F_SIZE) : new FeatureSet();
    if (sized) new Uint16Array(this.config.buffer).set([columns, rows]);
  }

  attach(host: DeviceHost): void {
    this.#host = host;
  }

  startQueue(index: number, queue: DeviceQueue): void {
    this.#queues[index] = queue;
    if (index === RECEIVE) this.#listen();
  }

  process(index: number, budget: number): boolean {
    if (index === RECEIVE) {
      // New buffers: what was typed meanwhile still waits in the descriptor.
      this.#input?.modify(EPOLLIN);
      return false;
    }
    for (let taken = 0; taken < budget; taken++) {
      const chain = this.#queues[TRANSMIT]?.next();
      if (!chain) return false;
      this.#print(chain);
      chain.queue.complete(chain, 0);
    }
    return true;
  }

  stopQueue(index: number): void {
    this.#queues[index] = null;
    if (index === RECEIVE) this.#deafen();
  }

  reset(): void {}

  detach(): void {
    this.#host = null;
  }

  [Symbol.dispose](): void {
    this.#deafen();
  }

  #listen(): void {
    const { input } = this.#options;
    if (input === undefined || this.#host === null || this.#input !== null) return;
    try {
      this.#input = this.#host.loop.watch(input, EPOLLIN, () => this.#type());
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.#host.log.warn(`console: nothing can be typed: ${error.message}`);
    }
  }

  #deafen(): void {
    this.#input?.[Symbol.dispose]();
    this.#input = null;
  }

  /** Takes no more from the descriptor than the guest has room for. */
  #type(): void {
    const queue = this.#queues[RECEIVE];
    const chain = queue?.next();
    if (!queue || !chain) {
      this.#input?.modify(0);
      return;
    }
    const room = Math.min(chain.writeBytes, this.#bytes.length);
    const read = room > 0 ? this.#host!.sys.fd.read(this.#options.input!, this.#bytes, room) : 0;
    const written = read > 0 ? chain.write(0, this.#bytes, 0, read) : 0;
    if (read > 0 || room === 0) {
      queue.complete(chain, Math.max(written, 0));
      queue.flush();
      return;
    }
    queue.unfetch(chain);
    // The end of a pipe, or of a terminal that was closed.
    if (read !== -EAGAIN) this.#deafen();
  }

  #print(chain: Chain): void {
    for (let at = 0; at < chain.readBytes; ) {
      const len = chain.read(at, this.#bytes, 0, this.#bytes.length);
      if (len <= 0) return;
      at += len;
      for (let from = 0; from < len; ) {
        const wrote = this.#host!.sys.fd.write(this.#options.output, this.#bytes.subarray(from), len - from);
        if (wrote < 0) return;
        from += wrote;
      }
    }
  }
}
