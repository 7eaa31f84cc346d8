/** Objects that back-ends of one front-end share by UUID: who has what, and how another back-end gets it. */
import type { EventLoop, Fd, LoopTimer } from '@oriel/sys';
import type { Answer } from './request-port.ts';

/** A back-end that may be asked for its objects; the object's identity is the exporter's. */
export interface ObjectExporter {
  /** @param done - the descriptor, given away; null: it has none */
  getSharedObject(uuid: Uint8Array, done: Answer<Fd | null>): void;
}

/** How a registry is bounded. */
export interface SharedObjectsOptions {
  readonly loop: EventLoop;
  /** Most objects of one back-end; default 1024. */
  readonly maxObjects?: number;
  /** How long an exporter may take to hand an object out, ms; default 1000. */
  readonly timeoutMs?: number;
}

const MAX_OBJECTS = 1024;
const TIMEOUT_MS = 1000;

/** One registry for all connections of a front-end. A UUID belongs to the back-end that added it, until that goes. */
export class SharedObjects {
  readonly #options: SharedObjectsOptions;
  readonly #owners = new Map<string, ObjectExporter>();
  readonly #counts = new Map<ObjectExporter, number>();

  constructor(options: SharedObjectsOptions) {
    this.#options = options;
  }

  /** @param uuid - 16 bytes, lent @returns false when the UUID is taken, or the exporter has too many */
  add(uuid: Uint8Array, exporter: ObjectExporter): boolean {
    const key = keyOf(uuid);
    const count = this.#counts.get(exporter) ?? 0;
    if (this.#owners.has(key) || count >= (this.#options.maxObjects ?? MAX_OBJECTS)) {
      return false;
    }
    this.#owners.set(key, exporter);
    this.#counts.set(exporter, count + 1);
    return true;
  }

  /** @returns false for an object that is not there, or that another back-end added */
  remove(uuid: Uint8Array, exporter: ObjectExporter): boolean {
    const key = keyOf(uuid);
    if (this.#owners.get(key) !== exporter) {
      return false;
    }
    this.#owners.delete(key);
    this.#counts.set(exporter, this.#counts.get(exporter)! - 1);
    return true;
  }

  /** @param done - called once: the descriptor, given away, or null where nobody has it or its owner does not answer */
  lookup(uuid: Uint8Array, done: (fd: Fd | null) => void): void {
    const exporter = this.#owners.get(keyOf(uuid));
    if (exporter === undefined) {
      done(null);
      return;
    }
    let timer: LoopTimer | null = this.#options.loop.timer(this.#options.timeoutMs ?? TIMEOUT_MS, () => {
      timer = null;
      done(null);
    });
    exporter.getSharedObject(uuid, (_error, fd) => {
      if (timer === null) {
        fd?.close();
        return;
      }
      timer[Symbol.dispose]();
      timer = null;
      done(fd ?? null);
    });
  }

  /** The exporter is gone, and all its objects with it. */
  forget(exporter: ObjectExporter): void {
    for (const [key, owner] of this.#owners) {
      if (owner === exporter) {
        this.#owners.delete(key);
      }
    }
    this.#counts.delete(exporter);
  }
}

function keyOf(uuid: Uint8Array): string {
  return Buffer.from(uuid.buffer, uuid.byteOffset, uuid.length).toString('hex');
}
