/** The `gpublob` probe: a guest program with blobs of the context type `memory`, mapped. */
import { MEMORY_CAPSET_ID } from '@oriel/gpu-blob';
import type { Guest } from '../boot.ts';
import { ServedProbe } from './served-probe.ts';

/** A blob to make. */
export interface WantedBlob {
  readonly id: number;
  /** Bytes. */
  readonly size: number;
}

/** More would not fit a line of the guest's terminal. */
const BLOBS_A_LINE = 64;

/** The probe's commands; each throws GuestError ERR_GUEST_COMMAND with the probe's words when it fails. */
export class BlobProbe {
  readonly #probe: ServedProbe;

  private constructor(probe: ServedProbe) {
    this.#probe = probe;
  }

  /** @param render - which GPU of the guest, from 0 */
  static async start(guest: Guest, render = 0): Promise<BlobProbe> {
    const node = `/dev/dri/renderD${128 + render}`;
    return new BlobProbe(await ServedProbe.start(guest, 'gpublob', [MEMORY_CAPSET_ID, node], `gpublob${render}`));
  }

  /** What the device offers, one line each. */
  capabilities(): Promise<string[]> {
    return this.#probe.ask('caps');
  }

  /** Makes and maps blobs; they live until dropped. */
  async make(blobs: readonly WantedBlob[], timeoutMs?: number): Promise<void> {
    for (let at = 0; at < blobs.length; at += BLOBS_A_LINE) {
      const words = blobs.slice(at, at + BLOBS_A_LINE).map(({ id, size }) => `${id}:${size}`);
      await this.#probe.ask(`make ${words.join(' ')}`, timeoutMs);
    }
  }

  /** Makes a blob as soon as the kernel has room for it: a range comes back some time after its blob was closed. */
  async makeWhenRoom({ id, size }: WantedBlob): Promise<void> {
    await this.#probe.ask(`wait ${id} ${size}`);
  }

  /** Writes the pattern of each blob. */
  async fill(salt: number): Promise<void> {
    await this.#probe.ask(`fill ${salt}`);
  }

  /** Compares each blob with its pattern. @returns how many blobs and bytes, in words */
  async check(salt: number): Promise<string> {
    return (await this.#probe.ask(`check ${salt}`)).join('\n');
  }

  /** Maps each blob once more, by its dma-buf: compares with one pattern, writes another. */
  async throughDmaBuf(salt: number, next: number): Promise<void> {
    await this.#probe.ask(`export ${salt} ${next}`);
  }

  /** Makes blobs of one size until there is no room. @returns how many, and why it ended */
  async exhaust(firstId: number, size: number): Promise<{ readonly made: number; readonly why: string }> {
    const line = (await this.#probe.ask(`exhaust ${firstId} ${size}`)).join('\n');
    const [, made, why] = /^(\d+) made, then: (.*)$/.exec(line) ?? [];
    return { made: Number(made), why: why ?? line };
  }

  /** Unmaps and closes these blobs, or all. */
  async drop(...ids: readonly number[]): Promise<void> {
    await this.#probe.ask(['drop', ...ids].join(' '));
  }

  /** Makes, fills, checks and drops blobs of many sizes for some seconds. @returns how many */
  async churn(seconds: number, firstId: number): Promise<number> {
    const lines = await this.#probe.ask(`churn ${seconds} ${firstId}`, (seconds + 60) * 1000);
    return Number(/^(\d+) blobs/.exec(lines.join('\n'))?.[1]);
  }

  /** Ends the probe; its blobs go with it. */
  quit(): Promise<void> {
    return this.#probe.quit();
  }
}
