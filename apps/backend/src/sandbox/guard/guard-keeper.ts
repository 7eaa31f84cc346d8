/**
 * Guards the files of a device that is shut in. It stays outside, with what that takes: CAP_SYS_ADMIN, and the /proc of every
 * process. It opens no file by itself, and what the device tells it leads to descriptors that the device has anyhow.
 */
import { existsSync } from 'node:fs';
import {
  EBADF,
  EINVAL,
  EPOLLIN,
  EPOLLOUT,
  ETXTBSY,
  type EventLoop,
  Fd,
  type FileGuard,
  type FileTruncation,
  nameAtAddress,
  openTruncationWatch,
  type Sys,
  SysError,
  type TruncationWatch,
  type Watch,
  type WatchedFile,
} from '@oriel/sys';
import { EventQueue } from './event-queue.ts';
import { FrontEnd } from './front-end.ts';
import type { GuardEnds } from './guard-ends.ts';
import { Call, GuardAnswer, GuardCall, GuardReply, Happening, readName, writeName } from './wire.ts';

/** Answers that may come at a time. */
const ANSWERS = 64;
/** Device and inode, as maps has them. */
const NAME = /^[\da-f]{2,}:[\da-f]{2,} \d+$/;

interface Watched {
  readonly fd: Fd;
  readonly file: WatchedFile;
}

/** The keeper's side. */
export class GuardKeeper implements Disposable {
  readonly #sys: Sys;
  readonly #loop: EventLoop;
  readonly #pid: number;
  readonly #ends: GuardEnds;
  readonly #events: EventQueue;
  readonly #callWatch: Watch;
  readonly #answerWatch: Watch;
  readonly #files = new Map<number, Watched>();
  readonly #questions = new Map<number, FileTruncation>();
  readonly #numbers = new Map<FileTruncation, number>();
  readonly #call = new Uint8Array(GuardCall.byteLength);
  readonly #callView = new DataView(this.#call.buffer);
  readonly #reply = new Uint8Array(GuardReply.byteLength);
  readonly #replyView = new DataView(this.#reply.buffer);
  readonly #answers = new Uint8Array(ANSWERS * GuardAnswer.byteLength);
  readonly #received;
  #watch: TruncationWatch | null = null;
  /** Of the connection for which files are watched. */
  #frontEnd: FrontEnd | null = null;
  #asked = 0;

  /** @param pid - of the device's process @throws SysError */
  constructor(sys: Sys, loop: EventLoop, pid: number, ends: GuardEnds) {
    this.#sys = sys;
    this.#loop = loop;
    this.#pid = pid;
    this.#ends = ends;
    this.#received = sys.socket.makeRecvResult(1);
    this.#callWatch = loop.watch(ends.calls, EPOLLIN, () => this.#takeCall());
    this.#answerWatch = loop.watch(ends.events, EPOLLIN, (ready) => {
      if ((ready & EPOLLOUT) !== 0) this.#events.flush();
      if ((ready & ~EPOLLOUT) !== 0) this.#takeAnswers();
    });
    this.#events = new EventQueue(sys, ends.events, (full) =>
      this.#answerWatch.modify(full ? EPOLLIN | EPOLLOUT : EPOLLIN),
    );
  }

  [Symbol.dispose](): void {
    this.#close();
    this.#callWatch[Symbol.dispose]();
    this.#answerWatch[Symbol.dispose]();
  }

  #takeCall(): void {
    const got = this.#sys.socket.recvmsg(this.#ends.calls, this.#call, this.#call.length, this.#received);
    const fd = this.#received.fdCount === 1 ? new Fd(this.#sys.fd, this.#received.fds[0]!) : null;
    if (got !== this.#call.length) {
      fd?.close();
      // The device is gone, or not itself any more.
      this.#loop.stop();
      return;
    }
    this.#reply.fill(0);
    GuardReply.errno.set(this.#replyView, 0, this.#answerTo(fd));
    const sent = this.#sys.socket.sendmsg(this.#ends.calls, this.#reply, this.#reply.length, null, 0);
    // The device is gone, or does not read what it asked for.
    if (sent < 0) this.#loop.stop();
  }

  #answerTo(fd: Fd | null): number {
    const view = this.#callView;
    const id = GuardCall.id.get(view, 0);
    const value = GuardCall.value.get(view, 0);
    const kind = GuardCall.kind.get(view, 0);
    if (kind === Call.WATCH) return this.#add(id, fd);
    using _socket = fd;
    switch (kind) {
      case Call.OPEN:
        return this.#open(value, fd);
      case Call.CLOSE:
        this.#close();
        return 0;
      case Call.UNWATCH:
        this.#remove(id);
        return 0;
      case Call.NAME:
        return this.#tellName(value);
      case Call.MAPPED:
        return this.#tellMapped(value);
      default:
        return -EINVAL;
    }
  }

  #open(thread: number, socket: Fd | null): number {
    this.#close();
    // What its owner does to files is not asked about, and nobody else's deeds are to pass for that.
    if (!existsSync(`/proc/${this.#pid}/task/${thread}`)) return -EINVAL;
    try {
      this.#watch = openTruncationWatch(this.#sys, this.#loop, { owner: { pid: this.#pid, thread } });
      this.#frontEnd = socket === null ? null : FrontEnd.at(this.#sys, socket.fd);
      return 0;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return -error.errno;
    }
  }

  #close(): void {
    for (const id of [...this.#files.keys()]) this.#remove(id);
    this.#questions.clear();
    this.#numbers.clear();
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.#frontEnd?.[Symbol.dispose]();
    this.#frontEnd = null;
  }

  #add(id: number, fd: Fd | null): number {
    if (fd === null || this.#watch === null || this.#files.has(id)) {
      fd?.close();
      return fd === null ? -EBADF : -EINVAL;
    }
    const file = this.#watch.watch(fd.fd, this.#guardOf(id));
    if (typeof file === 'number') {
      fd.close();
      return file;
    }
    this.#files.set(id, { fd, file });
    return 0;
  }

  #remove(id: number): void {
    const watched = this.#files.get(id);
    this.#files.delete(id);
    this.#events.forget(id);
    watched?.file[Symbol.dispose]();
    watched?.fd.close();
  }

  #guardOf(watch: number): FileGuard {
    return {
      truncating: (truncation) => {
        const question = ++this.#asked;
        const { size, sure } = truncation;
        if (!this.#events.send({ kind: Happening.TRUNCATING, watch, question, flag: sure, size })) {
          truncation.refuse(ETXTBSY);
          return;
        }
        this.#questions.set(question, truncation);
        this.#numbers.set(truncation, question);
      },
      truncated: (truncation) => {
        const question = this.#numbers.get(truncation);
        if (question === undefined) return;
        this.#numbers.delete(truncation);
        this.#questions.delete(question);
        this.#events.send({ kind: Happening.TRUNCATED, watch, question, flag: false, size: 0 });
      },
      changed: (settled) => {
        this.#events.send({ kind: Happening.CHANGED, watch, question: 0, flag: settled, size: 0 });
      },
    };
  }

  #takeAnswers(): void {
    const { socket } = this.#sys;
    const got = socket.recvmsg(this.#ends.events, this.#answers, this.#answers.length, this.#received);
    if (got <= 0 || got % GuardAnswer.byteLength !== 0) {
      if (this.#received.fdCount === 1) this.#sys.fd.close(this.#received.fds[0]!);
      this.#loop.stop();
      return;
    }
    const view = new DataView(this.#answers.buffer);
    for (let at = 0; at < got; at += GuardAnswer.byteLength) {
      const question = GuardAnswer.question.get(view, at);
      const allowed = GuardAnswer.allowed.get(view, at) !== 0;
      const truncation = this.#questions.get(question);
      this.#questions.delete(question);
      if (allowed) truncation?.allow();
      else truncation?.refuse(ETXTBSY);
    }
  }

  #tellName(address: number): number {
    const name = nameAtAddress(this.#pid, address);
    GuardReply.known.set(this.#replyView, 0, name === null ? 0 : 1);
    writeName(this.#reply, GuardReply.name.offset, name ?? '');
    return 0;
  }

  #tellMapped(offset: number): number {
    const name = readName(this.#call, GuardCall.name.offset);
    if (this.#frontEnd === null || !NAME.test(name)) return -EINVAL;
    const mapped = this.#frontEnd.mappedBytesBehind(name, offset);
    GuardReply.known.set(this.#replyView, 0, mapped < 0 ? 0 : 1);
    GuardReply.value.set(this.#replyView, 0, Math.max(0, mapped));
    return 0;
  }
}
