/** A device for tests: echoes, keeps chains, maps memory; and writes down what is done to it. */
import { ECANCELED } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import type { DeviceHost, VirtioDevice } from '../src/index.ts';

/** First byte of a request. */
export const ECHO = 1;
/** Held until `release()`, over pauses too. */
export const HOLD = 2;
/** Maps a page of `mapFd` at the page of region 0 that the second byte names, then answers with one byte: 0, or the errno. */
export const MAP = 3;

const PAGE = 4096;

export class EchoDevice implements VirtioDevice {
  readonly name = 'echo';
  readonly deviceId = 42;
  readonly features = FeatureSet.of(0, 5);
  readonly queueCount = 3;
  readonly maxQueueSize = 64;
  readonly config = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  readonly shmRegions: readonly { shmid: number; size: number }[] = [{ shmid: 0, size: 64 * 1024 }];
  /** What was done, in order: 'attach', 'start 1 fresh', 'stop 1', 'reset', 'features 0,5', ... */
  readonly log: string[] = [];
  /** Queue of each chain taken, in order. */
  readonly order: number[] = [];
  /** A descriptor to map; lent. */
  mapFd = -1;
  host: DeviceHost | null = null;
  /** Those that run. */
  readonly queues: (DeviceQueue | null)[] = [null, null, null];
  readonly #held: Chain[] = [];
  /** Heads kept over a pause, by queue. */
  readonly kept: number[][] = [[], [], []];
  readonly #scratch = new Uint8Array(4096);

  attach(host: DeviceHost): void {
    this.host = host;
    this.log.push('attach');
  }

  writeConfig(offset: number, bytes: Uint8Array): void {
    this.config.set(bytes, offset);
  }

  setFeatures(features: FeatureSet): void {
    this.log.push(`features ${features.bits()}`);
  }

  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.queues[index] = queue;
    for (const head of this.kept[index]!.splice(0)) {
      const chain = fresh ? null : queue.takeBack(head);
      if (chain !== null) {
        this.#held.push(chain);
      }
    }
    this.log.push(`start ${index}${fresh ? ' fresh' : ''}`);
  }

  process(index: number, budget: number): boolean {
    const queue = this.queues[index];
    for (let taken = 0; taken < budget; taken++) {
      const chain = queue?.next();
      if (!chain) {
        return false;
      }
      this.order.push(index);
      this.#serve(chain);
    }
    return true;
  }

  /** Answers what is held. */
  release(): void {
    for (const chain of this.#held.splice(0)) {
      this.#answer(chain, chain.read(0, this.#scratch, 0, this.#scratch.length));
      chain.queue.flush();
    }
  }

  get held(): number {
    return this.#held.length;
  }

  stopQueue(index: number): void {
    const queue = this.queues[index];
    for (const chain of this.#held.filter((held) => held.queue === queue).reverse()) {
      this.#held.splice(this.#held.indexOf(chain), 1);
      if (!chain.queue.unfetch(chain)) {
        this.kept[index]!.push(chain.queue.keep(chain));
      }
    }
    this.queues[index] = null;
    this.log.push(`stop ${index}`);
  }

  reset(): void {
    this.#forget();
    this.log.push('reset');
  }

  detach(): void {
    this.#forget();
    this.host = null;
    this.log.push('detach');
  }

  [Symbol.dispose](): void {
    this.log.push('dispose');
  }

  #forget(): void {
    for (const heads of this.kept) {
      heads.length = 0;
    }
  }

  #serve(chain: Chain): void {
    const len = chain.read(0, this.#scratch, 0, this.#scratch.length);
    switch (this.#scratch[0]) {
      case HOLD:
        this.#held.push(chain);
        break;
      case MAP:
        this.#held.push(chain);
        this.#map(chain);
        break;
      default:
        this.#answer(chain, len);
    }
  }

  #answer(chain: Chain, len: number): void {
    chain.queue.complete(chain, Math.max(0, chain.write(0, this.#scratch, 0, Math.min(len, chain.writeBytes))));
  }

  #map(chain: Chain): void {
    const page = { fdOffset: 0, shmOffset: this.#scratch[1]! * PAGE, len: PAGE, writable: true };
    const request = { ...page, fd: this.mapFd, owner: this, label: 'page' };
    this.host!.region(0).map(request, (error) => {
      const at = this.#held.indexOf(chain);
      if (error === -ECANCELED || at < 0) {
        return;
      }
      this.#held.splice(at, 1);
      this.#scratch[0] = -error;
      this.#answer(chain, 1);
      chain.queue.flush();
    });
  }
}
