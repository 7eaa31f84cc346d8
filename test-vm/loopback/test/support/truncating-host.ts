/**
 * A process of the host that keeps truncating a file and writing back what it cut off: a thread of its own, which shares a few
 * words with the test. Arguments: see `TruncatingData`.
 */
import { closeSync, ftruncateSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { pattern } from './bytes.ts';

export interface TruncatingOptions {
  readonly path: string;
  /** The file's full size; its content is `pattern(size, seed)`. */
  readonly size: number;
  readonly seed: number;
  readonly times: number;
  /** Where to cut, in turn; 0 by opening with O_TRUNC. */
  readonly cuts: readonly number[];
}

interface TruncatingData extends TruncatingOptions {
  readonly words: SharedArrayBuffer;
}

/** Bytes that are whole for certain; what lies behind is being cut or written. */
const FLOOR = 0;
/** Changes with every change of the floor. */
const SEQUENCE = 1;
const DONE = 2;
const REFUSED = 3;
const ENDED = 4;
/** 1: written anew, and it waits until the guest has it again. */
const WAITING = 5;
const WORDS = 6;

/** The test's end of a truncating thread. */
export class TruncatingHost {
  readonly #words = new Int32Array(new SharedArrayBuffer(WORDS * 4));
  readonly #ended: Promise<void>;

  constructor(options: TruncatingOptions) {
    this.#words[FLOOR] = options.size;
    const data: TruncatingData = { ...options, words: this.#words.buffer as SharedArrayBuffer };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    this.#ended = new Promise((resolve, reject) => {
      worker.on('error', reject).on('exit', () => resolve());
    });
  }

  get floor(): number {
    return Atomics.load(this.#words, FLOOR);
  }

  get sequence(): number {
    return Atomics.load(this.#words, SEQUENCE);
  }

  /** True when it has cut as often as it should. */
  get over(): boolean {
    return Atomics.load(this.#words, ENDED) === 1;
  }

  /** Truncations that happened. */
  get done(): number {
    return Atomics.load(this.#words, DONE);
  }

  /** Truncations that failed with ETXTBSY. */
  get refused(): number {
    return Atomics.load(this.#words, REFUSED);
  }

  /** True when the file is whole again, and it waits for `seen`. */
  get waiting(): boolean {
    return Atomics.load(this.#words, WAITING) === 1;
  }

  /** The guest has the whole file again. */
  seen(): void {
    Atomics.store(this.#words, WAITING, 0);
    Atomics.notify(this.#words, WAITING);
  }

  /** Waits until its thread is gone. @throws what went wrong there */
  ended(): Promise<void> {
    return this.#ended;
  }
}

function cutTo(path: string, size: number, way: number): void {
  if (size === 0) {
    writeFileSync(path, '');
  } else if (way === 0) {
    truncateSync(path, size);
  } else {
    const fd = openSync(path, 'r+');
    try {
      ftruncateSync(fd, size);
    } finally {
      closeSync(fd);
    }
  }
}

function run({ path, size, seed, times, cuts, words }: TruncatingData): void {
  const shared = new Int32Array(words);
  const whole = pattern(size, seed);
  const setFloor = (floor: number): void => {
    Atomics.store(shared, FLOOR, floor);
    Atomics.add(shared, SEQUENCE, 1);
  };
  const fd = openSync(path, 'r+');
  for (let time = 0; time < times; time++) {
    const cut = cuts[time % cuts.length]!;
    setFloor(cut);
    try {
      cutTo(path, cut, time % 2);
      Atomics.add(shared, DONE, 1);
      writeSync(fd, whole, cut, size - cut, cut);
      Atomics.store(shared, WAITING, 1);
      Atomics.wait(shared, WAITING, 1);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY') throw error;
      Atomics.add(shared, REFUSED, 1);
    }
    setFloor(size);
  }
  closeSync(fd);
  Atomics.store(shared, ENDED, 1);
}

if (!isMainThread && workerData !== null && 'cuts' in (workerData as object)) run(workerData as TruncatingData);
