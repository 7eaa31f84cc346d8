/** A share whose process "dies" at any step, and goes on from its journal. */
import { FuseSession, journalBytes, type SessionHooks } from '@oriel/fuse';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { MemoryMessage } from '@oriel/fuse/testing';
import { check, Fd, Mapping, openSys, type Sys } from '@oriel/sys';
import { PassthroughFilesystem, type PassthroughOptions } from '../../src/index.ts';
import { journalSizes, ShareJournal } from '../../src/survival/share-journal.ts';

/** The end of a process. */
export class Death extends Error {}

const PLACES = 4;
const LIMITS = { maxInodes: 1000, maxHandles: 100, maxDirStreams: 10 };

/** Dies before or after the n-th step: a system call on files, or an atomic store into the journal. */
class Steps {
  left = Number.POSITIVE_INFINITY;
  taken = 0;

  step(): void {
    this.taken++;
    if (--this.left === 0) {
      this.left = Number.POSITIVE_INFINITY;
      throw new Death('killed');
    }
  }
}

/**
 * System calls, each with a step before and one after it.
 * @param opened - the descriptors that a process has: the kernel closes them when it ends
 */
function mortal<T extends object>(calls: T, steps: Steps, opened: Set<number>): T {
  return new Proxy(calls, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const opens = String(key).startsWith('open') || key === 'dup';
      return (...args: unknown[]) => {
        steps.step();
        const result: unknown = Reflect.apply(value, target, args);
        if (opens && typeof result === 'number' && result >= 0) opened.add(result);
        if (key === 'close') opened.delete(args[0] as number);
        steps.step();
        return result;
      };
    },
  });
}

/** Descriptors that outlive the process. */
class TestStore {
  readonly held = new Map<string, Fd>();
  readonly #process: Sys['fd'];

  /** @param process - calls of the process that takes */
  constructor(process: Sys['fd']) {
    this.#process = process;
  }

  keep(name: string, fd: Fd): boolean {
    this.forget(name);
    // A copy that is not the mortal process's.
    const sys = openSys().fd;
    this.held.set(name, new Fd(sys, check(sys.dup(fd.fd), 'dup')));
    return true;
  }

  forget(name: string): void {
    this.held.get(name)?.close();
    this.held.delete(name);
  }

  take(name: string): Fd | null {
    const held = this.held.get(name);
    return held === undefined ? null : new Fd(this.#process, check(this.#process.dup(held.fd), 'dup'));
  }
}

/** One life after another of a share, and the driver that goes on asking. */
export class Survivor implements Disposable {
  readonly request = new RequestEncoder();
  readonly store: TestStore;
  /** Of the request that comes next. */
  place = 1;
  /** Of the lives to come. */
  options: Partial<PassthroughOptions>;
  /** Of the sessions of the lives to come. */
  hooks: SessionHooks = {};
  readonly #dir: string;
  readonly #sys: Sys = openSys();
  readonly #steps = new Steps();
  readonly #message = new MemoryMessage(this.#sys.mem);
  readonly #reply = new ReplyDecoder();
  readonly #journal: Mapping;
  #fs: PassthroughFilesystem;
  #session: FuseSession;
  #again = false;
  readonly #opened = new Set<number>();
  readonly #mortalFd: Sys['fd'];

  constructor(dir: string, options: Partial<PassthroughOptions> = {}) {
    this.#dir = dir;
    this.options = options;
    this.#mortalFd = mortal(this.#sys.fd, this.#steps, this.#opened);
    this.store = new TestStore(this.#mortalFd);
    this.#fs = this.#makeFs();
    this.#journal = Mapping.anonymous(this.#sys.mem, journalBytes(PLACES, this.#fs.journalBytes));
    this.#session = this.#makeSession();
    this.call(this.request.init());
    this.request.setxattrExt = true;
  }

  get stats(): PassthroughFilesystem['stats'] {
    return this.#fs.stats;
  }

  /** The share's part of the journal, for a program that writes there what no share would. */
  get journal(): ShareJournal {
    const bytes = this.#journal.u8.subarray(journalBytes(PLACES, 0));
    return new ShareJournal(
      { bytes, store: this.store },
      journalSizes(LIMITS.maxInodes, LIMITS.maxHandles, LIMITS.maxDirStreams),
    );
  }

  /** The session's journal says that there is none, whatever else it says. */
  endJournal(): void {
    const { buffer, byteOffset } = this.#journal.u8;
    new Int32Array(buffer, byteOffset, 3)[2] = 0;
  }

  /** Sends a request and reads its reply. */
  call(request: RequestEncoder, data?: Uint8Array): ReplyDecoder {
    this.#message.load(request.bytes, request.len, request.room, data);
    this.#session.handle(this.#message);
    if (this.#message.written === 0) return this.#reply;
    return this.#reply.take(request, this.#message.reply, this.#message.written);
  }

  /** How many steps a request takes, and the error that it is answered with. */
  stepsOf(request: RequestEncoder, data?: Uint8Array): { readonly steps: number; readonly error: number } {
    const before = this.#steps.taken;
    const { error } = this.#mortally(Number.POSITIVE_INFINITY, request, data);
    return { steps: this.#steps.taken - before, error };
  }

  /**
   * Dies at the `step`-th step of a request, is born again and gets the same request once more.
   * @param meanwhile - what the host does before the birth
   */
  killedAt(step: number, request: RequestEncoder, data?: Uint8Array, meanwhile = (): void => {}): ReplyDecoder {
    try {
      this.#mortally(step, request, data);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
    }
    meanwhile();
    this.rebirth();
    this.#again = true;
    try {
      return this.call(request, data);
    } finally {
      this.#again = false;
    }
  }

  /**
   * As `killedAt`, and the next process dies, too, at the `second`-th step of the same request.
   * @returns null when it took fewer
   */
  killedTwiceAt(step: number, second: number, request: RequestEncoder): ReplyDecoder | null {
    let died = false;
    for (const at of [step, second]) {
      died = false;
      try {
        this.#mortally(at, request);
      } catch (error) {
        if (!(error instanceof Death)) throw error;
        died = true;
      }
      this.rebirth();
      this.#again = true;
    }
    try {
      const reply = this.call(request);
      return died ? reply : null;
    } finally {
      this.#again = false;
    }
  }

  /** The process ends where it is, and another one takes over. */
  rebirth(): void {
    this.#end();
    this.#fs = this.#makeFs();
    this.#session = this.#makeSession();
    if (!this.#session.restore()) throw new Error('not restored');
  }

  /** As `rebirth`, but that process ends, too, at the `step`-th step of taking over. @returns false when it took fewer */
  stillborn(step: number): boolean {
    this.#end();
    this.#fs = this.#makeFs();
    this.#session = this.#makeSession();
    try {
      this.#stepping(step, () => this.#session.restore());
      return false;
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      return true;
    }
  }

  [Symbol.dispose](): void {
    this.#end();
    for (const name of [...this.store.held.keys()]) this.store.forget(name);
    this.#journal[Symbol.dispose]();
    this.#message[Symbol.dispose]();
  }

  #mortally(step: number, request: RequestEncoder, data?: Uint8Array): ReplyDecoder {
    return this.#stepping(step, () => this.call(request, data));
  }

  #stepping<T>(step: number, work: () => T): T {
    const { store } = Atomics;
    const steps = this.#steps;
    steps.left = step;
    Object.assign(Atomics, {
      store: (...args: Parameters<typeof Atomics.store>) => {
        Reflect.apply(store, Atomics, args);
        steps.step();
      },
    });
    try {
      return work();
    } finally {
      Object.assign(Atomics, { store });
      steps.left = Number.POSITIVE_INFINITY;
    }
  }

  #makeFs(): PassthroughFilesystem {
    const sys = {
      ...this.#sys,
      file: mortal(this.#sys.file, this.#steps, this.#opened),
      fd: this.#mortalFd,
    };
    return new PassthroughFilesystem({
      sys,
      sharedDir: this.#dir,
      securityLabel: true,
      limits: LIMITS,
      ...this.options,
    });
  }

  #makeSession(): FuseSession {
    const session = new FuseSession({
      sys: this.#sys,
      fs: this.#fs,
      hooks: this.hooks,
      finish: (message, written) => (message as MemoryMessage).finished(written),
    });
    const bytes = this.#journal.u8.subarray(0, journalBytes(PLACES, this.#fs.journalBytes));
    const failed = session.openJournal({
      bytes,
      store: this.store,
      places: PLACES,
      placeOf: () => this.place,
      again: () => this.#again,
    });
    if (failed !== 0) throw new Error(`no journal: ${failed}`);
    return session;
  }

  #end(): void {
    this.#session.closeJournal();
    this.#session[Symbol.dispose]();
    this.#fs[Symbol.dispose]();
    for (const fd of this.#opened) this.#sys.fd.close(fd);
    this.#opened.clear();
  }
}
