/** Pictures of displays, made by a thread of their own that begins with the first one. */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { ControlError, type Frame } from '../device-module.ts';
import type { EncoderJob, EncoderResult } from '../encoder.ts';
import { moduleUrl } from '../module-url.ts';

/** Last pictures are worth so much of an end's time. */
const LAST_MS = 2000;

type Done = (result: EncoderResult) => void;

/** Makes pictures one after the other. */
export class Pictures {
  readonly #waiting = new Map<number, Done>();
  #worker: Worker | undefined;
  #jobs = 0;

  /** Replaces `DIR/scanout-N.png`; who opens it finds a whole picture. @throws ControlError */
  async keep(dir: string, frame: Frame): Promise<void> {
    await this.#make(frame, join(dir, `scanout-${frame.scanout}.png`));
  }

  /** A PNG file in memory. @throws ControlError */
  async encode(frame: Frame): Promise<Uint8Array> {
    return (await this.#make(frame, undefined))!;
  }

  /** Waits for what was asked for, for a while, and ends the thread. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) {
      return;
    }
    const patience = new AbortController();
    const late = delay(LAST_MS, undefined, { signal: patience.signal }).catch(() => {});
    // A thread that fails has given all its results by `#failed`.
    const next = () => once(worker, 'message').catch(() => undefined);
    while (this.#waiting.size > 0 && (await Promise.race([next(), late])) !== undefined) {}
    patience.abort();
    await worker.terminate();
  }

  async #make(frame: Frame, file: string | undefined): Promise<Uint8Array | null> {
    const id = this.#jobs++;
    const job: EncoderJob = { id, frame, file };
    const result = await new Promise<EncoderResult>((done) => {
      this.#waiting.set(id, done);
      this.#thread().postMessage(job, [frame.pixels.buffer]);
    });
    if ('error' in result) {
      throw new ControlError(`no picture of scanout ${frame.scanout}: ${result.error}`);
    }
    return result.png;
  }

  #thread(): Worker {
    if (this.#worker === undefined) {
      this.#worker = new Worker(moduleUrl('encoder'), { name: 'pictures' });
      this.#worker.on('message', (result: EncoderResult) => this.#done(result));
      this.#worker.on('error', (error) => this.#failed(String(error)));
    }
    return this.#worker;
  }

  #done(result: EncoderResult): void {
    const done = this.#waiting.get(result.id);
    this.#waiting.delete(result.id);
    done?.(result);
  }

  /** The thread is gone (its memory ran out): the next picture gets a new one. */
  #failed(error: string): void {
    this.#worker = undefined;
    for (const id of [...this.#waiting.keys()]) {
      this.#done({ id, error });
    }
  }
}
