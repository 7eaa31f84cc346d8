/** The guard of mapped files as a device in a sandbox has it: a keeper outside does what that process may not. */
import type { GuardHost } from '@oriel/fs-dax';
import {
  check,
  EAGAIN,
  EINTR,
  EPOLL_CTL_ADD,
  EPOLLIN,
  EPOLLRDHUP,
  type EventLoop,
  Fd,
  type FileGuard,
  type FileTruncation,
  nameInMaps,
  type RecvResult,
  type Sys,
  SysError,
  type TruncationWatch,
  type Watch,
  type WatchedFile,
} from '@oriel/sys';
import type { FrontEnd } from '@oriel/virtio-device';
import type { GuardEnds } from './guard-ends.ts';
import { Call, GuardAnswer, GuardCall, GuardEvent, GuardReply, Happening, readName, writeName } from './wire.ts';

const GONE = 'who guards the mapped files has gone';

/** A keeper starts a helper of its own at the first file. One that takes longer has hung. */
const REPLY_MS = 35_000;
/** Events that are read at a time. */
const EVENTS = 64;

/** What a call may say beside its kind. */
interface CallFields {
  readonly id?: number;
  readonly value?: number;
  readonly name?: string;
  /** Lent. */
  readonly fd?: number;
}

/** Calls of the keeper, each of which waits: the device's thread must know before it goes on. */
class KeeperCalls implements Disposable {
  readonly #sys: Pick<Sys, 'socket' | 'loop' | 'fd'>;
  readonly #fd: number;
  readonly #epoll: Fd;
  readonly #call = new Uint8Array(GuardCall.byteLength);
  readonly #callView = new DataView(this.#call.buffer);
  readonly #fds = new Int32Array(1);
  readonly #received: RecvResult;
  readonly reply = new Uint8Array(GuardReply.byteLength);
  readonly replyView = new DataView(this.reply.buffer);
  readonly #lost: (error: Error) => void;
  #dead: Error | null = null;

  /** @throws SysError EMFILE */
  constructor(sys: Pick<Sys, 'socket' | 'loop' | 'fd'>, fd: number, lost: (error: Error) => void) {
    this.#sys = sys;
    this.#lost = lost;
    this.#fd = fd;
    this.#received = sys.socket.makeRecvResult(0);
    this.#epoll = new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
    check(sys.loop.epollCtl(this.#epoll.fd, EPOLL_CTL_ADD, fd, EPOLLIN, 0), 'epoll_ctl');
  }

  /** @returns 0 or a negative errno; `reply` has the rest @throws Error when the keeper is gone: nothing is guarded any more */
  make(kind: number, fields: CallFields = {}): number {
    if (this.#dead !== null) throw this.#dead;
    try {
      return this.#make(kind, fields);
    } catch (error) {
      // An answer that comes too late must not be taken for that of a later call.
      this.#dead = error instanceof Error ? error : new Error(String(error));
      this.#lost(this.#dead);
      throw this.#dead;
    }
  }

  #make(kind: number, { id = 0, value = 0, name = '', fd = -1 }: CallFields = {}): number {
    GuardCall.kind.set(this.#callView, 0, kind);
    GuardCall.id.set(this.#callView, 0, id);
    GuardCall.value.set(this.#callView, 0, value);
    writeName(this.#call, GuardCall.name.offset, name);
    this.#fds[0] = fd;
    const fds = fd < 0 ? null : this.#fds;
    const sent = this.#sys.socket.sendmsg(this.#fd, this.#call, this.#call.length, fds, fd < 0 ? 0 : 1);
    if (sent !== this.#call.length) throw new Error(GONE);
    let got = this.#receive();
    while (got === -EAGAIN || got === -EINTR) {
      if (this.#sys.loop.epollWait(this.#epoll.fd, REPLY_MS, new Uint32Array(1), new Float64Array(1)) === 0) break;
      got = this.#receive();
    }
    if (got !== this.reply.length) {
      throw new Error('who guards the mapped files does not answer');
    }
    return GuardReply.errno.get(this.replyView, 0);
  }

  [Symbol.dispose](): void {
    this.#epoll.close();
  }

  #receive(): number {
    return this.#sys.socket.recvmsg(this.#fd, this.reply, this.reply.length, this.#received);
  }
}

/** Of one connection. */
class RemoteWatch implements TruncationWatch {
  readonly #sys: Pick<Sys, 'socket'>;
  readonly #calls: KeeperCalls;
  readonly #fd: number;
  readonly #nextId: () => number;
  readonly #ended: () => void;
  readonly #watch: Watch;
  readonly #guards = new Map<number, FileGuard>();
  readonly #asked = new Map<number, { readonly guard: FileGuard; readonly truncation: FileTruncation }>();
  readonly #events = new Uint8Array(EVENTS * GuardEvent.byteLength);
  readonly #view = new DataView(this.#events.buffer);
  readonly #received: RecvResult;
  readonly #answer = new Uint8Array(GuardAnswer.byteLength);
  #closed = false;

  constructor(
    sys: Pick<Sys, 'socket'>,
    loop: EventLoop,
    calls: KeeperCalls,
    fd: number,
    nextId: () => number,
    ended: () => void,
  ) {
    this.#sys = sys;
    this.#ended = ended;
    this.#calls = calls;
    this.#fd = fd;
    this.#nextId = nextId;
    this.#received = sys.socket.makeRecvResult(0);
    this.#watch = loop.watch(fd, EPOLLIN, () => this.#take());
  }

  watch(fd: number, guard: FileGuard): WatchedFile | number {
    const id = this.#nextId();
    const refused = this.#calls.make(Call.WATCH, { id, fd });
    if (refused < 0) return refused;
    this.#guards.set(id, guard);
    return { [Symbol.dispose]: () => this.#unwatch(id) };
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#guards.clear();
    this.#ended();
    this.#calls.make(Call.CLOSE);
  }

  #unwatch(id: number): void {
    if (this.#guards.delete(id)) this.#calls.make(Call.UNWATCH, { id });
  }

  #take(): void {
    const got = this.#sys.socket.recvmsg(this.#fd, this.#events, this.#events.length, this.#received);
    if (got === -EAGAIN || got === -EINTR) return;
    if (got <= 0 || got % GuardEvent.byteLength !== 0) throw new Error(GONE);
    for (let at = 0; at < got && !this.#closed; at += GuardEvent.byteLength) this.#happened(at);
  }

  #happened(at: number): void {
    const view = this.#view;
    const guard = this.#guards.get(GuardEvent.watch.get(view, at));
    const question = GuardEvent.question.get(view, at);
    const flag = GuardEvent.flag.get(view, at) !== 0;
    switch (GuardEvent.kind.get(view, at)) {
      case Happening.TRUNCATING:
        this.#ask(guard, question, GuardEvent.size.get(view, at), flag);
        break;
      case Happening.TRUNCATED: {
        const asked = this.#asked.get(question);
        this.#asked.delete(question);
        asked?.guard.truncated(asked.truncation);
        break;
      }
      case Happening.CHANGED:
        guard?.changed(flag);
        break;
    }
  }

  #ask(guard: FileGuard | undefined, question: number, size: number, sure: boolean): void {
    // Nothing of it is mapped any more, or it was asked on behalf of a connection that has ended.
    if (guard === undefined) {
      this.#tell(question, true);
      return;
    }
    let given = false;
    const give = (allowed: boolean): void => {
      if (given || this.#closed) return;
      given = true;
      this.#tell(question, allowed);
    };
    const truncation = { size, sure, allow: () => give(true), refuse: () => give(false) };
    this.#asked.set(question, { guard, truncation });
    guard.truncating(truncation);
  }

  #tell(question: number, allowed: boolean): void {
    const view = new DataView(this.#answer.buffer);
    GuardAnswer.question.set(view, 0, question);
    GuardAnswer.allowed.set(view, 0, allowed ? 1 : 0);
    check(this.#sys.socket.sendmsg(this.#fd, this.#answer, this.#answer.length, null, 0), 'sendmsg');
  }
}

/** What the keeper does for a device; lives as long as the device. */
export class RemoteGuard implements GuardHost, Disposable {
  readonly #sys: Sys;
  readonly #ends: GuardEnds;
  readonly #calls: KeeperCalls;
  readonly #loop: EventLoop;
  readonly #lost: (error: Error) => void;
  /** Hears of the keeper's end while no connection does. */
  #idle: Watch | null = null;
  #ids = 0;

  /**
   * @param ends - lent
   * @param lost - the keeper is gone: the device must end
   * @throws SysError EMFILE
   */
  constructor(sys: Sys, loop: EventLoop, ends: GuardEnds, lost: (error: Error) => void) {
    this.#sys = sys;
    this.#ends = ends;
    this.#loop = loop;
    this.#lost = lost;
    this.#calls = new KeeperCalls(sys, ends.calls, lost);
    this.#watchIdle();
  }

  /** Its end only: what it says is of the connection that was. */
  #watchIdle(): void {
    this.#idle = this.#loop.watch(this.#ends.events, EPOLLRDHUP, () => this.#lost(new Error(GONE)));
  }

  openWatch(loop: EventLoop, { socket }: FrontEnd): TruncationWatch {
    const refused = this.#calls.make(Call.OPEN, { value: this.#sys.fanotify.gettid(), fd: socket });
    if (refused < 0) throw new SysError(-refused, 'fanotify_init');
    this.#idle?.[Symbol.dispose]();
    this.#idle = null;
    return new RemoteWatch(
      this.#sys,
      loop,
      this.#calls,
      this.#ends.events,
      () => ++this.#ids,
      () => this.#watchIdle(),
    );
  }

  nameInMaps(fd: number): string {
    const { reply } = this.#calls;
    return nameInMaps(this.#sys, fd, (value) =>
      this.#calls.make(Call.NAME, { value }) < 0 || !this.#isKnown() ? null : readName(reply, GuardReply.name.offset),
    );
  }

  /** Whoever connected is meant: the keeper knows no other process. */
  mappedBytesBehind(_pid: number, name: string, value: number): number {
    const failed = this.#calls.make(Call.MAPPED, { name, value });
    return failed < 0 || !this.#isKnown() ? -1 : GuardReply.value.get(this.#calls.replyView, 0);
  }

  [Symbol.dispose](): void {
    this.#idle?.[Symbol.dispose]();
    this.#calls[Symbol.dispose]();
  }

  #isKnown(): boolean {
    return GuardReply.known.get(this.#calls.replyView, 0) !== 0;
  }
}
