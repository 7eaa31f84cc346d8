/**
 * Being asked before a file becomes shorter: by truncate, ftruncate, O_TRUNC or a collapsed range, whoever does it and however
 * long ago the file was opened. For files whose pages somebody else has mapped. Linux 6.14, CAP_SYS_ADMIN, and a file system
 * with pre-content events (ext4, xfs, btrfs).
 */
import { Worker } from 'node:worker_threads';
import { EPOLLIN } from '../constants/event.ts';
import {
  FAN_ALLOW,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_CLOSE_WRITE,
  FAN_DENY,
  FAN_ERRNO_SHIFT,
  FAN_MARK_ADD,
  FAN_MARK_REMOVE,
  FAN_MODIFY,
  FAN_NONBLOCK,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
  FAN_REPORT_TID,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
} from '../constants/fanotify.ts';
import { O_CLOEXEC, O_RDONLY } from '../constants/file.ts';
import type { EventLoop, Watch } from '../event-loop.ts';
import { FanotifyResponse } from '../fanotify-layouts.ts';
import { Fd } from '../fd.ts';
import type { Sys } from '../sys.ts';
import { check } from '../sys-error.ts';
import { FileState } from './file-state.ts';
import { ALLOWED, BROKEN, CHANGE, EventSlots, EXPIRED, FREE, fileName, NEW, OVER, TAKEN, UP } from './slots.ts';
import type { TruncationHelperData } from './truncation-helper.ts';

/** Truncations and changes that may stand at a time, of all watched files together. */
const SLOTS = 64;
const DEADLINE_MS = 3000;
const HELPER_LIMIT_MS = 30_000;
const INIT = FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_TID;
// Behind a queue that is full the kernel lets a truncation pass unasked. Who is asked waits, and changes of a file are merged.
const UNLIMITED = FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
const EVENTS = FAN_OPEN_PERM | FAN_PRE_ACCESS | FAN_MODIFY | FAN_CLOSE_WRITE;

/** A truncation that waits for an answer; give one, once. */
export interface FileTruncation {
  /** Bytes that the file is to have. */
  readonly size: number;
  /** False when it cannot be told what the thread is about to do; `size` is then the least that it may come to. */
  readonly sure: boolean;
  /** Lets it happen. */
  allow(): void;
  /** The thread gets this errno. */
  refuse(errno: number): void;
}

/** Who has a file mapped. */
export interface FileGuard {
  /** A file is about to become shorter, by another thread than the loop's. */
  truncating(truncation: FileTruncation): void;
  /** What was allowed has happened, or never will. */
  truncated(truncation: FileTruncation): void;
  /** The file has another size. @param settled - it became shorter without a question, or a writer closed it; else it grows */
  changed(settled: boolean): void;
}

/** A watched file; dispose it before its descriptor is closed. */
export interface WatchedFile extends Disposable {
  [Symbol.dispose](): void;
}

/** A thread that truncates watched files without being asked, and the process whose writes are no news. */
export interface WatchOwner {
  readonly pid: number;
  readonly thread: number;
}

export interface TruncationWatchOptions {
  /** Default: this thread. Another's, where its process may not watch files itself: that thread must not wait for this one. */
  readonly owner?: WatchOwner;
  /** A question that stays unanswered is refused then, with ETXTBSY; default 3000 ms. */
  readonly deadlineMs?: number;
}

/** The truncation watch of a loop. */
export interface TruncationWatch extends Disposable {
  /** Watches the file of a descriptor (not O_PATH), which must stay open. @returns a negative errno when that cannot be */
  watch(fd: number, guard: FileGuard): WatchedFile | number;
  [Symbol.dispose](): void;
}

interface Watched {
  readonly guards: Set<FileGuard>;
}

/** One question, put to every guard of a file. */
class Question {
  readonly size: number;
  readonly sure: boolean;
  readonly asked: { readonly guard: FileGuard; readonly truncation: FileTruncation }[] = [];
  readonly #answer: (errno: number) => void;
  #open = 0;
  #answered = false;

  constructor(size: number, sure: boolean, answer: (errno: number) => void) {
    this.size = size;
    this.sure = sure;
    this.#answer = answer;
  }

  put(guards: readonly FileGuard[]): void {
    this.#open = guards.length;
    if (guards.length === 0) {
      this.#give(0);
      return;
    }
    for (const guard of guards) {
      if (this.#answered) return;
      let given = false;
      const give = (errno: number): void => {
        if (given) return;
        given = true;
        this.#open--;
        if (errno !== 0 || this.#open === 0) this.#give(errno);
      };
      const truncation = { size: this.size, sure: this.sure, allow: () => give(0), refuse: give };
      this.asked.push({ guard, truncation });
      guard.truncating(truncation);
    }
  }

  over(): void {
    for (const { guard, truncation } of this.asked.splice(0)) guard.truncated(truncation);
  }

  #give(errno: number): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#answer(errno);
  }
}

class FanotifyWatch implements TruncationWatch {
  readonly #sys: Sys;
  readonly #group: Fd;
  readonly #tell: Fd;
  readonly #end: Fd;
  readonly #watch: Watch;
  readonly #slots = new EventSlots(SLOTS);
  readonly #questions: (Question | null)[] = new Array<Question | null>(SLOTS).fill(null);
  readonly #files = new Map<string, Watched>();
  readonly #state: FileState;
  readonly #deadlineMs: number;
  readonly #owner: WatchOwner;
  readonly #response = new Uint8Array(FanotifyResponse.byteLength);
  #started = false;
  #closed = false;

  constructor(sys: Sys, loop: EventLoop, group: Fd, options: TruncationWatchOptions) {
    this.#sys = sys;
    this.#group = group;
    this.#state = new FileState(sys.file);
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#owner = options.owner ?? { pid: process.pid, thread: sys.fanotify.gettid() };
    this.#tell = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    this.#end = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    this.#watch = loop.watch(this.#tell.fd, EPOLLIN, () => {
      sys.loop.eventfdDrain(this.#tell.fd);
      this.#serve();
    });
  }

  watch(fd: number, guard: FileGuard): WatchedFile | number {
    const failed = this.#state.read(fd);
    if (failed < 0) return failed;
    const name = fileName(this.#state);
    let file = this.#files.get(name);
    if (file === undefined) {
      // The helper first: from the mark on, this thread's own calls wait for it.
      this.#start();
      const refused = this.#sys.fanotify.markFd(this.#group.fd, FAN_MARK_ADD, EVENTS, fd);
      if (refused < 0) return refused;
      file = { guards: new Set() };
      this.#files.set(name, file);
    }
    file.guards.add(guard);
    return { [Symbol.dispose]: () => this.#unwatch(name, fd, guard) };
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#started) {
      this.#sys.loop.eventfdSignal(this.#end.fd);
      this.#slots.waitWhile(UP, HELPER_LIMIT_MS);
    }
    this.#watch[Symbol.dispose]();
    for (let slot = 0; slot < SLOTS; slot++) {
      const state = this.#slots.state(slot);
      if (state === NEW || state === TAKEN) this.#closeEvent(slot);
    }
    // The kernel allows what is still asked.
    if (this.#slots.life === BROKEN) this.#group.take();
    else this.#group.close();
    this.#tell.close();
    this.#end.close();
  }

  #unwatch(name: string, fd: number, guard: FileGuard): void {
    const file = this.#files.get(name);
    if (file === undefined || !file.guards.delete(guard) || file.guards.size > 0) return;
    this.#files.delete(name);
    if (!this.#closed) this.#sys.fanotify.markFd(this.#group.fd, FAN_MARK_REMOVE, EVENTS, fd);
  }

  #serve(): void {
    if (this.#slots.life === BROKEN) throw new Error('the truncation helper failed');
    for (let slot = 0; slot < SLOTS; slot++) {
      switch (this.#slots.state(slot)) {
        case NEW:
          this.#take(slot);
          break;
        case OVER:
        case EXPIRED:
          this.#done(slot);
          break;
      }
    }
  }

  #take(slot: number): void {
    const guards = [...(this.#files.get(this.#slots.file(slot))?.guards ?? [])];
    if (this.#slots.kind(slot) === CHANGE) {
      const settled = this.#slots.sure(slot);
      this.#slots.move(slot, NEW, FREE);
      for (const guard of guards) guard.changed(settled);
      return;
    }
    if (!this.#slots.move(slot, NEW, TAKEN)) return;
    const question = new Question(this.#slots.size(slot), this.#slots.sure(slot), (errno) => this.#answer(slot, errno));
    this.#questions[slot] = question;
    question.put(guards);
  }

  #answer(slot: number, errno: number): void {
    // Expired meanwhile: the helper has refused it.
    if (this.#closed || !this.#slots.move(slot, TAKEN, ALLOWED)) return;
    const response = errno === 0 ? FAN_ALLOW : FAN_DENY | (errno << FAN_ERRNO_SHIFT);
    const view = new DataView(this.#response.buffer);
    FanotifyResponse.fd.set(view, 0, this.#slots.eventFd(slot));
    FanotifyResponse.response.set(view, 0, response >>> 0);
    const written = this.#sys.fd.write(this.#group.fd, this.#response, FanotifyResponse.byteLength);
    this.#closeEvent(slot);
    // The thread is gone, or what it asked was refused.
    if (errno !== 0 || written < 0) {
      this.#slots.move(slot, ALLOWED, OVER);
      this.#done(slot);
    }
  }

  #done(slot: number): void {
    const question = this.#questions[slot];
    this.#questions[slot] = null;
    this.#slots.move(slot, this.#slots.state(slot), FREE);
    // One that was refused before this loop took it was never asked.
    question?.over();
  }

  #closeEvent(slot: number): void {
    this.#sys.fd.close(this.#slots.eventFd(slot));
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const data: TruncationHelperData = {
      slots: SLOTS,
      buffer: this.#slots.buffer,
      group: this.#group.fd,
      tellFd: this.#tell.fd,
      endFd: this.#end.fd,
      owner: this.#owner,
      deadlineMs: this.#deadlineMs,
    };
    const worker = new Worker(new URL(`./truncation-helper.${extension}`, import.meta.url), {
      name: 'oriel-truncation',
      workerData: data,
      // Which files packages are made of, and nothing else of this process's flags.
      execArgv: process.execArgv.filter((flag) => flag.startsWith('--conditions=')),
    });
    worker.unref();
    if (!this.#slots.waitWhile(0, HELPER_LIMIT_MS)) throw new Error('the truncation helper did not come up');
  }
}

function initGroup(sys: Pick<Sys, 'fanotify'>): number {
  const eventFlags = O_RDONLY | O_CLOEXEC;
  return sys.fanotify.init(INIT | UNLIMITED, eventFlags);
}

/**
 * Opens a truncation watch whose guards are called on `loop`, which must run in this thread. Its helper thread starts with
 * the first watched file.
 * @throws SysError EPERM without CAP_SYS_ADMIN, EINVAL or ENOSYS on a kernel without fanotify
 */
export function openTruncationWatch(sys: Sys, loop: EventLoop, options: TruncationWatchOptions = {}): TruncationWatch {
  return new FanotifyWatch(sys, loop, new Fd(sys.fd, check(initGroup(sys), 'fanotify_init')), options);
}

/**
 * Whether files like that of a descriptor (a file or directory, not O_PATH) can be watched.
 * @returns 0; -EPERM without CAP_SYS_ADMIN; -EOPNOTSUPP where the file system, -EINVAL where the kernel has no such events
 */
export function truncationWatchErrno(sys: Pick<Sys, 'fanotify' | 'fd'>, fd: number): number {
  const group = initGroup(sys);
  if (group < 0) return group;
  const result = sys.fanotify.markFd(group, FAN_MARK_ADD, FAN_PRE_ACCESS | FAN_OPEN_PERM, fd);
  sys.fd.close(group);
  return result;
}
