/**
 * The helper thread of a truncation watch. It reads the events, answers at once what cuts nothing or comes from the loop's
 * own thread (which waits for the answer and could not give it), and hands everything else to the loop. It never opens a
 * file of the share: it would wait for itself.
 */
import { existsSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { ETXTBSY } from '../constants/errno.ts';
import { EPOLLIN } from '../constants/event.ts';
import {
  FAN_ALLOW,
  FAN_CLOSE_WRITE,
  FAN_DENY,
  FAN_ERRNO_SHIFT,
  FAN_EVENT_INFO_TYPE_RANGE,
  FAN_MODIFY,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
  FANOTIFY_METADATA_VERSION,
} from '../constants/fanotify.ts';
import { FanotifyEvent, FanotifyRange, FanotifyResponse } from '../fanotify-layouts.ts';
import { openSys } from '../koffi/open.ts';
import { NodeLoop } from '../loop/node-loop.ts';
import { FileState } from './file-state.ts';
import { type Asked, hasLeft, type Intent, intentOfAccess, intentOfOpen, syscallLineOfAsking } from './intent.ts';
import {
  ALLOWED,
  BROKEN,
  CHANGE,
  ENDED,
  type EventFields,
  EventSlots,
  EXPIRED,
  FREE,
  fileName,
  NEW,
  OVER,
  TAKEN,
  TRUNCATION,
  UP,
} from './slots.ts';
import type { WatchOwner } from './truncation-watch.ts';

/** What the helper is started with. */
export interface TruncationHelperData {
  readonly slots: number;
  readonly buffer: SharedArrayBuffer;
  /** The fanotify group, non-blocking. */
  readonly group: number;
  /** The eventfd that the loop watches. */
  readonly tellFd: number;
  /** The eventfd that ends the helper. */
  readonly endFd: number;
  /** The loop's thread, or the one for which it watches. */
  readonly owner: WatchOwner;
  /** A question that the loop has not answered by then is refused, ms. */
  readonly deadlineMs: number;
}

const BUFFER = 16 * 1024;
/** How often it is looked whether an allowed truncation is over, should no event tell, ms. */
const LOOK_MS = 20;
const MOST_SIZES = 4096;
const PERMISSION = FAN_OPEN_PERM | FAN_PRE_ACCESS;

class TruncationHelper {
  readonly #data: TruncationHelperData;
  readonly #sys = openSys();
  readonly #loop = new NodeLoop(this.#sys);
  readonly #slots: EventSlots;
  readonly #state = new FileState(this.#sys.file);
  readonly #bytes = new Uint8Array(BUFFER);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #response = new Uint8Array(FanotifyResponse.byteLength);
  readonly #responseView = new DataView(this.#response.buffer);
  /** Changes for which there was no free slot, one of each kind for a file. */
  readonly #late = new Map<string, EventFields>();
  /** The system call in each slot, as /proc showed it. */
  readonly #lines: string[] = [];
  /** Sizes of files that were changed, to see them shrink. */
  readonly #sizes = new Map<string, number>();
  #looking = false;

  constructor(data: TruncationHelperData) {
    this.#data = data;
    this.#slots = new EventSlots(data.slots, data.buffer);
    this.#loop.watch(data.group, EPOLLIN, () => this.#read());
    this.#loop.watch(data.endFd, EPOLLIN, () => this.#end());
    this.#loop.run();
    this.#slots.life = UP;
  }

  #end(): void {
    this.#loop.stop();
    setImmediate(() => {
      this.#loop[Symbol.dispose]();
      this.#slots.life = ENDED;
    });
  }

  /** The group goes, so that nobody waits for answers that will not come. */
  fail(): void {
    this.#slots.life = BROKEN;
    this.#sys.fd.close(this.#data.group);
    this.#tell();
  }

  #read(): void {
    for (;;) {
      const got = this.#sys.fd.read(this.#data.group, this.#bytes, BUFFER);
      // Nothing there, or one event whose file could not be opened: the kernel has refused that one.
      if (got <= 0) return;
      for (let at = 0; at < got; at += FanotifyEvent.eventLen.get(this.#view, at)) this.#event(at);
    }
  }

  #event(at: number): void {
    const view = this.#view;
    const fd = FanotifyEvent.fd.get(view, at);
    if (FanotifyEvent.vers.get(view, at) !== FANOTIFY_METADATA_VERSION || fd < 0) return;
    const mask = FanotifyEvent.mask.get(view, at);
    const thread = FanotifyEvent.pid.get(view, at);
    const asks = (mask & PERMISSION) !== 0;
    const { owner } = this.#data;
    // That thread does what it does in order: what it allowed itself before is over, and it needs to tell itself nothing.
    if (thread === owner.thread) {
      if (asks) this.#answer(fd, FAN_ALLOW);
      this.#sys.fd.close(fd);
      return;
    }
    if (!asks) {
      // What its process writes in other threads is no news to it either.
      if (!existsSync(`/proc/${owner.pid}/task/${thread}`)) this.#changed(fd, thread, mask);
      this.#sys.fd.close(fd);
      return;
    }
    this.#endsOf(thread, null);
    const line = syscallLineOfAsking(thread, this.#data.deadlineMs);
    const intent = this.#intent(at, fd, thread, mask, line);
    if (intent.kind === 'harmless') {
      this.#answer(fd, FAN_ALLOW);
      this.#sys.fd.close(fd);
    } else if (!this.#ask(fd, thread, intent, line)) {
      this.#answer(fd, FAN_DENY | (ETXTBSY << FAN_ERRNO_SHIFT));
      this.#sys.fd.close(fd);
    }
  }

  #intent(at: number, fd: number, thread: number, mask: number, line: string): Intent {
    if (this.#state.read(fd) < 0) return { kind: 'cut', size: 0, sure: false };
    return (mask & FAN_OPEN_PERM) === 0 ? intentOfAccess(line, this.#asked(at)) : intentOfOpen(thread, line);
  }

  #asked(at: number): Asked {
    const view = this.#view;
    const fileSize = this.#state.size;
    const range = at + FanotifyEvent.metadataLen.get(view, at);
    const told =
      range + FanotifyRange.byteLength <= at + FanotifyEvent.eventLen.get(view, at) &&
      FanotifyRange.infoType.get(view, range) === FAN_EVENT_INFO_TYPE_RANGE;
    if (!told) return { offset: 0, count: 0, fileSize };
    return { offset: FanotifyRange.offset.get(view, range), count: FanotifyRange.count.get(view, range), fileSize };
  }

  /** Hands a question to the loop. @returns false when too many wait */
  #ask(fd: number, thread: number, { size, sure }: Intent & { kind: 'cut' }, line: string): boolean {
    const { dev, inoLo, inoHi } = this.#state;
    const since = performance.now();
    const slot = this.#slots.add({ kind: TRUNCATION, eventFd: fd, thread, sure, size, dev, inoLo, inoHi, since });
    if (slot < 0) return false;
    this.#lines[slot] = line;
    this.#tell();
    this.#look();
    return true;
  }

  #changed(fd: number, thread: number, mask: number): void {
    if (this.#state.read(fd) < 0) return;
    const { dev, inoLo, inoHi, size } = this.#state;
    const file = fileName(this.#state);
    if ((mask & FAN_MODIFY) !== 0) this.#endsOf(thread, file);
    const before = this.#sizes.get(file) ?? 0;
    if (this.#sizes.size >= MOST_SIZES) this.#sizes.clear();
    this.#sizes.set(file, size);
    const settled = (mask & FAN_CLOSE_WRITE) !== 0 || size < before;
    if (!settled && size === before) return;
    for (let slot = 0; slot < this.#slots.count; slot++) {
      if (this.#slots.state(slot) !== NEW || this.#slots.kind(slot) !== CHANGE) continue;
      if (this.#slots.file(slot) === file && this.#slots.sure(slot) === settled) return;
    }
    const since = performance.now();
    const fields = { kind: CHANGE, eventFd: -1, thread, sure: settled, size, dev, inoLo, inoHi, since };
    this.#tellChange(`${file} ${settled}`, fields);
  }

  /** Of a file of which the loop has not heard yet it hears once, also where it takes a while to have room. */
  #tellChange(name: string, fields: EventFields): void {
    if (this.#slots.add(fields) < 0) {
      this.#late.set(name, fields);
      this.#look();
      return;
    }
    this.#late.delete(name);
    this.#tell();
  }

  /** A thread has gone on: what it was allowed is over. @param file - null: all of it */
  #endsOf(thread: number, file: string | null): void {
    for (let slot = 0; slot < this.#slots.count; slot++) {
      if (this.#slots.state(slot) !== ALLOWED || this.#slots.thread(slot) !== thread) continue;
      if (file === null || this.#slots.file(slot) === file) this.#over(slot);
    }
  }

  #over(slot: number): void {
    if (this.#slots.move(slot, ALLOWED, OVER)) this.#tell();
  }

  /** While questions or allowed truncations stand, or changes wait, looks from time to time after those of which nobody hears. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#loop.timer(LOOK_MS, () => {
      this.#looking = false;
      const now = performance.now();
      let standing = false;
      for (let slot = 0; slot < this.#slots.count; slot++) {
        const state = this.#slots.state(slot);
        if (state === FREE || this.#slots.kind(slot) !== TRUNCATION) continue;
        standing = true;
        if (state === ALLOWED) {
          if (hasLeft(this.#slots.thread(slot), this.#lines[slot]!)) this.#over(slot);
        } else if ((state === NEW || state === TAKEN) && now - this.#slots.since(slot) > this.#data.deadlineMs) {
          this.#expire(slot, state);
        }
      }
      for (const [name, fields] of [...this.#late]) this.#tellChange(name, fields);
      if (standing) this.#look();
    });
  }

  #expire(slot: number, state: number): void {
    const fd = this.#slots.eventFd(slot);
    if (!this.#slots.move(slot, state, EXPIRED)) return;
    this.#answer(fd, FAN_DENY | (ETXTBSY << FAN_ERRNO_SHIFT));
    this.#sys.fd.close(fd);
    this.#tell();
  }

  #answer(fd: number, response: number): void {
    FanotifyResponse.fd.set(this.#responseView, 0, fd);
    FanotifyResponse.response.set(this.#responseView, 0, response >>> 0);
    this.#sys.fd.write(this.#data.group, this.#response, FanotifyResponse.byteLength);
  }

  #tell(): void {
    this.#sys.loop.eventfdSignal(this.#data.tellFd);
  }
}

if (!isMainThread) {
  const helper = new TruncationHelper(workerData as TruncationHelperData);
  process.on('uncaughtException', (error) => {
    helper.fail();
    throw error;
  });
}
