/** The connection of one context to its host socket: bytes and descriptors both ways. */
import {
  EAGAIN,
  ECONNRESET,
  ENOBUFS,
  ENOMEM,
  EPIPE,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  errnoName,
  Fd,
  type RecvResult,
  type Watch,
} from '@oriel/sys';
import type { EventSource } from '../events/deliveries.ts';
import type { Ring } from '../events/ring.ts';
import { Outbox } from '../io/outbox.ts';
import { tryWatch } from '../io/try-watch.ts';
import { CrossDomainSendReceive, type SendReceiveLayout } from '../protocol/layout.ts';
import { CROSS_DOMAIN_BUFFER_SIZE, CROSS_DOMAIN_MAX_IDENTIFIERS } from '../protocol/values.ts';
import type { Announced, Receiver } from '../received/receive.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Door } from './door.ts';
import { putReceive } from './receive-message.ts';

/** What one recvmsg brought and one message could not hold: programs before 2023 take four descriptors at a time. */
interface Rest {
  readonly announced: Announced[];
  readonly data: Uint8Array;
}

export class Connection implements EventSource {
  readonly outbox: Outbox;
  /** The form of RECEIVEs: that of the program's last SEND. */
  layout: SendReceiveLayout = CrossDomainSendReceive;
  readonly #around: Surroundings;
  readonly #receiver: Receiver;
  readonly #received: RecvResult;
  #opening: Disposable | null = null;
  #socket: Fd | null = null;
  #watch: Watch | null = null;
  #rest: Rest | null = null;
  /** `due`: the guest is to be told that it is over; `told`: it was. */
  #end: 'no' | 'due' | 'told' = 'no';
  /** Nothing can be sent any more; what came may still be read. */
  #deaf = false;

  /** Call `open` next. */
  constructor(around: Surroundings, receiver: Receiver) {
    const { host, limits, quotas } = around;
    const { sys, loop } = host;
    this.#around = around;
    this.#receiver = receiver;
    this.#received = sys.socket.makeRecvResult(CROSS_DOMAIN_MAX_IDENTIFIERS);
    this.outbox = new Outbox({
      loop,
      fd: sys.fd,
      write: (data, fds, fdCount) =>
        this.#socket === null ? -EAGAIN : sys.socket.sendmsg(this.#socket.fd, data, data.length, fds, fdCount),
      bytes: quotas.bytes,
      fds: quotas.fds,
      max: limits.maxQueuedBytes,
    });
  }

  /** Connects, now or a little later. @returns 0, or a negative errno when it failed at once: the guest will be told the end */
  open(door: Door): number {
    let failed = 0;
    const opening = door.open(this.#around.host, (result) => {
      this.#opening = null;
      failed = typeof result === 'number' ? result : this.#adopt(result);
      if (failed < 0) this.#finish(`is not connected (${errnoName(-failed)})`);
    });
    if (this.#socket === null && failed === 0) this.#opening = opening;
    return failed;
  }

  /** Uses a socket that is connected already. @param socket - given away @returns as `open` */
  use(socket: Fd): number {
    const error = this.#adopt(socket);
    if (error < 0) this.#finish(`is not connected (${errnoName(-error)})`);
    return error;
  }

  /** @returns 0, or a negative errno */
  #adopt(socket: Fd): number {
    const { host, quotas } = this.#around;
    if (!quotas.fds.take(1)) {
      socket.close();
      return -ENOBUFS;
    }
    this.#socket = socket;
    const events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    this.#watch = tryWatch(host.loop, socket.fd, events, (ready) => {
      if ((ready & EPOLLOUT) !== 0) this.#flush();
      if ((ready & ~EPOLLOUT) !== 0) this.#around.deliveries.ready(this);
    });
    if (this.#watch === null) return -ENOMEM;
    this.#flush();
    return 0;
  }

  /** Sends bytes and descriptors, or keeps them until there is room. After the end they are dropped. @param fds - lent */
  send(data: Uint8Array, fds: Int32Array, fdCount: number): void {
    if (this.#deaf || this.#end !== 'no') return;
    this.#check(this.outbox.post(data, fds, fdCount));
  }

  /** The guest is told that the connection is over, when it asks next. */
  #finish(why: string): void {
    if (this.#end !== 'no') return;
    this.#around.say(`the connection ${why}`);
    this.#close();
    this.#end = 'due';
    this.#around.deliveries.ready(this);
  }

  compose(ring: Ring): number {
    if (this.#end !== 'no') return this.#end === 'due' ? putReceive(ring.scratch, this.layout, [], 0) : 0;
    if (this.#rest === null && !this.#receive(ring)) {
      // The end may have come just now.
      return this.#end === 'no' ? 0 : this.compose(ring);
    }
    return this.#put(ring, this.#rest!);
  }

  delivered(): void {
    if (this.#end === 'due') this.#end = 'told';
  }

  /** The program is gone. */
  [Symbol.dispose](): void {
    this.#end = 'told';
    this.#close();
  }

  /** One recvmsg, into the place behind the head. @returns true when `#rest` has something */
  #receive({ scratch, room }: Ring): boolean {
    const { byteLength } = this.layout;
    const most = Math.min(room, CROSS_DOMAIN_BUFFER_SIZE) - byteLength;
    if (this.#socket === null || most <= 0) return false;
    const { sys } = this.#around.host;
    const received = this.#received;
    const data = scratch.bytes.subarray(byteLength, byteLength + most);
    const size = sys.socket.recvmsg(this.#socket.fd, data, most, received);
    const fds: Fd[] = [];
    for (let index = 0; size >= 0 && index < received.fdCount; index++) fds.push(new Fd(sys.fd, received.fds[index]!));
    if (size === -EAGAIN) return false;
    if (size > 0 && !received.truncated) return this.#take(data.subarray(0, size), fds);
    for (const fd of fds) fd.close();
    if (size > 0) this.#finish('sent more descriptors than fit');
    else this.#finish(size === 0 ? 'was closed by the host program' : `failed (${errnoName(-size)})`);
    return false;
  }

  #take(data: Uint8Array, fds: readonly Fd[]): boolean {
    const announced: Announced[] = [];
    let fault = '';
    for (const fd of fds) {
      const one = fault === '' ? this.#receiver.take(fd) : fault;
      if (typeof one !== 'string') announced.push(one);
      else if (fault === '') fault = one;
      else fd.close();
    }
    if (fault === '') {
      this.#rest = { announced, data };
      return true;
    }
    this.#finish(`brought what cannot be passed on: ${fault}`);
    return false;
  }

  /** Puts as much into a message as it holds. */
  #put({ scratch, room }: Ring, { announced, data }: Rest): number {
    const { layout } = this;
    const most = Math.min(room, CROSS_DOMAIN_BUFFER_SIZE) - layout.byteLength;
    if (most < 0) return 0;
    const now = announced.splice(0, layout.identifiers.count);
    // All descriptors must be there by the time that the last of the bytes are.
    const size = announced.length === 0 ? Math.min(data.length, most) : Math.max(0, Math.min(1, data.length - 1));
    scratch.bytes.set(data.subarray(0, size), layout.byteLength);
    // The place in the scratch memory is not ours after this call.
    const isAll = announced.length === 0 && size === data.length;
    this.#rest = isAll ? null : { announced, data: data.slice(size) };
    return putReceive(scratch, layout, now, size);
  }

  #flush(): void {
    this.#check(this.outbox.flush());
  }

  /** @param error - of the outbox */
  #check(error: number): void {
    if (error === 0) return;
    if (error !== -EPIPE && error !== -ECONNRESET) {
      // What the host program has is but a part.
      this.#finish(
        error === -ENOBUFS ? 'is stalled: too much waits for the host program' : `failed (${errnoName(-error)})`,
      );
      return;
    }
    this.#deaf = true;
    this.outbox.clear();
    this.#around.deliveries.ready(this);
  }

  #close(): void {
    this.#opening?.[Symbol.dispose]();
    this.#opening = null;
    this.#around.deliveries.forget(this);
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.outbox.clear();
    if (this.#socket === null) return;
    this.#socket.close();
    this.#socket = null;
    this.#around.quotas.fds.give(1);
  }
}
