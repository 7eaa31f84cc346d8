/**
 * System calls that would block, given to helper threads: the request stays PENDING meanwhile, and the handle whose
 * descriptor is in use stays open.
 */
import type { Operation } from '@oriel/fuse';
import { TWO_32 } from '@oriel/layout';
import { type Address, Mapping, type Offload, type SysFd, type SysMem } from '@oriel/sys';
import type { Handles } from './handles.ts';
import type { RemoteRuns } from './remote/remote-runs.ts';

const NONE = -1;
/** Memory of a call: two 64-bit offsets of a copy_file_range. */
const MEMORY_LEN = 16;

/** One call under way; pooled. */
class Call {
  readonly index: number;
  readonly args: number[] = [0, 0, 0, 0, 0, 0];
  readonly done: (result: number) => void;
  op: Operation | null = null;
  /** Handles in use, or NONE. */
  handle = NONE;
  handle2 = NONE;
  /** A descriptor opened for this call only, or NONE. */
  ownFd = NONE;

  constructor(index: number, finish: (call: Call, result: number) => void) {
    this.index = index;
    this.done = (result) => finish(this, result);
  }
}

/** The calls under way. */
export class OffloadedCalls implements Disposable {
  readonly #fd: SysFd;
  readonly #handles: Handles;
  readonly #runs: RemoteRuns;
  readonly #offload: Offload | undefined;
  readonly #free: Call[] = [];
  readonly #memory: Mapping | undefined;
  readonly #words: Uint32Array;
  readonly #max: number;

  /** @param max - most calls at one time */
  constructor(
    sys: { mem: SysMem; fd: SysFd },
    handles: Handles,
    runs: RemoteRuns,
    offload: Offload | undefined,
    max: number,
  ) {
    this.#fd = sys.fd;
    this.#runs = runs;
    this.#handles = handles;
    this.#offload = max > 0 ? offload : undefined;
    this.#max = this.#offload === undefined ? 0 : max;
    const finish = (call: Call, result: number): void => this.#finish(call, result);
    for (let index = this.#max - 1; index >= 0; index--) {
      this.#free.push(new Call(index, finish));
    }
    this.#memory = this.#max > 0 ? Mapping.anonymous(sys.mem, this.#max * MEMORY_LEN) : undefined;
    const bytes = this.#memory?.u8;
    this.#words = bytes ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4) : new Uint32Array(0);
  }

  /** Helper threads are there, and are not at this very request already. */
  get enabled(): boolean {
    return this.#offload !== undefined && this.#runs.active === null;
  }

  /** Calls under way. */
  get pending(): number {
    return this.#max - this.#free.length;
  }

  /**
   * Starts a call on a handle's descriptor; the operation is completed with its result.
   * @param args - from the second argument on; the first is the descriptor
   * @returns false when none can be started now: make it in this thread
   */
  onHandle(
    op: Operation,
    handle: number,
    nr: number,
    a1: number,
    a2: number,
    a3: number,
    a4: number,
    a5: number,
  ): boolean {
    const call = this.#take(op);
    if (call === undefined) {
      return false;
    }
    call.handle = handle;
    return this.#submit(call, nr, this.#handles.fd(handle), a1, a2, a3, a4, a5);
  }

  /**
   * Starts a call on a descriptor that is closed afterwards.
   * @returns false when none can be started now; the descriptor then stays with the caller
   */
  onOwnFd(op: Operation, fd: number, nr: number): boolean {
    const call = this.#take(op);
    if (call === undefined) {
      return false;
    }
    call.ownFd = fd;
    return this.#submit(call, nr, fd, 0, 0, 0, 0, 0);
  }

  /** Starts a copy_file_range between two handles. @returns as `onHandle` */
  copy(op: Operation, nr: number, from: number, offIn: number, to: number, offOut: number, len: number): boolean {
    const call = this.#take(op);
    if (call === undefined) {
      return false;
    }
    const word = call.index * (MEMORY_LEN / 4);
    this.#words[word] = offIn % TWO_32;
    this.#words[word + 1] = Math.floor(offIn / TWO_32);
    this.#words[word + 2] = offOut % TWO_32;
    this.#words[word + 3] = Math.floor(offOut / TWO_32);
    const offsets: Address = this.#memory!.addr + call.index * MEMORY_LEN;
    call.handle = from;
    call.handle2 = to;
    const target = this.#handles.fd(to);
    return this.#submit(call, nr, this.#handles.fd(from), offsets, target, offsets + MEMORY_LEN / 2, len, 0);
  }

  /** Waits until every call is done: their memory goes now. */
  [Symbol.dispose](): void {
    if (this.pending > 0) {
      this.#offload!.drain();
    }
    this.#memory?.[Symbol.dispose]();
  }

  #take(op: Operation): Call | undefined {
    const call = this.#free.pop();
    if (call !== undefined) {
      call.op = op;
    }
    return call;
  }

  #submit(call: Call, nr: number, a0: number, a1: number, a2: number, a3: number, a4: number, a5: number): boolean {
    const { args } = call;
    args[0] = a0;
    args[1] = a1;
    args[2] = a2;
    args[3] = a3;
    args[4] = a4;
    args[5] = a5;
    if (!this.#offload!.submit(nr, args, call.done)) {
      this.#giveBack(call);
      return false;
    }
    if (call.handle !== NONE) {
      this.#handles.beginCall(call.handle);
    }
    if (call.handle2 !== NONE) {
      this.#handles.beginCall(call.handle2);
    }
    return true;
  }

  #finish(call: Call, result: number): void {
    const op = call.op!;
    if (call.handle !== NONE) {
      this.#handles.endCall(call.handle);
    }
    if (call.handle2 !== NONE) {
      this.#handles.endCall(call.handle2);
    }
    if (call.ownFd !== NONE) {
      this.#fd.close(call.ownFd);
    }
    this.#giveBack(call);
    op.complete(result);
  }

  #giveBack(call: Call): void {
    call.op = null;
    call.handle = NONE;
    call.handle2 = NONE;
    call.ownFd = NONE;
    this.#free.push(call);
  }
}
