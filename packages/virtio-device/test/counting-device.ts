/** A device with a state: it numbers its answers, over any number of processes, and no answer twice. */
import { check, Fd, MFD_CLOEXEC } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import type { DeviceHost, VirtioDevice } from '../src/index.ts';

const MAGIC = 0x636f756e;
/** Words of the state: a magic number, the count, and the request that was counted last: 1 + its head. */
const COUNT = 1;
const LAST = 2;

/** Answers with the count (u32) of requests of the session; what was counted before a kill is not counted again. */
export class CountingDevice implements VirtioDevice {
  readonly name = 'counting';
  readonly deviceId = 44;
  readonly features = new FeatureSet();
  readonly queueCount = 1;
  readonly maxQueueSize = 64;
  readonly config = new Uint8Array(0);
  readonly stateBytes = 4096;
  readonly log: string[] = [];
  /** It dies, in the eyes of its driver, between the effect of a request and the answer. */
  dying = false;
  #host: DeviceHost | null = null;
  #words: Uint32Array = new Uint32Array(0);
  #queue: DeviceQueue | null = null;
  readonly #answer = new Uint8Array(4);

  attach(host: DeviceHost): void {
    this.#host = host;
    const { buffer, byteOffset, length } = host.state?.bytes ?? new Uint8Array(this.stateBytes);
    this.#words = new Uint32Array(buffer, byteOffset, length / 4);
    this.log.push('attach');
  }

  restore(): boolean {
    using kept = this.#host!.state!.take('file');
    const known = this.#words[0] === MAGIC && kept !== null;
    this.log.push(known ? `restore ${this.#words[COUNT]}` : 'restore refused');
    return known;
  }

  save(): void {
    this.log.push('save');
  }

  startQueue(_index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#queue = queue;
    if (this.#words[0] !== MAGIC) this.#begin();
    this.log.push(fresh ? 'start fresh' : 'start');
  }

  process(_index: number, budget: number): boolean {
    for (let taken = 0; taken < budget; taken++) {
      const chain = this.#queue!.next();
      if (chain === null) return false;
      if (!this.#serve(chain)) return false;
    }
    return true;
  }

  stopQueue(): void {
    this.#queue = null;
  }

  reset(): void {
    this.#words.fill(0);
    this.log.push('reset');
  }

  detach(): void {
    this.#host = null;
    this.log.push('detach');
  }

  [Symbol.dispose](): void {}

  #begin(): void {
    const { sys, state } = this.#host!;
    using file = new Fd(sys.fd, check(sys.mem.memfdCreate('counting', MFD_CLOEXEC), 'memfd_create'));
    check(state?.keep('file', file) === false ? -1 : 0, 'keep');
    this.#words[0] = MAGIC;
  }

  #serve(chain: Chain): boolean {
    const words = this.#words;
    if (!chain.again || words[LAST] !== chain.head + 1) {
      words[COUNT]!++;
      Atomics.store(words, LAST, chain.head + 1);
    }
    if (this.dying) return false;
    new DataView(this.#answer.buffer).setUint32(0, words[COUNT]!, true);
    chain.queue.complete(chain, Math.max(0, chain.write(0, this.#answer, 0, 4)));
    return true;
  }
}
