/** A back-end that is only bytes: it negotiates as an honest one would, and then sends what it is told to. */
import { BlockingLoop, check, EAGAIN, ECONNRESET, EPIPE, Fd, type Logger, type Sys, silentLogger } from '@oriel/sys';
import { FeatureSet, FrontendConnection, type FrontendHandlers } from '@oriel/vhost-user';

const HEADER_LEN = 12;
const VERSION = 1;
const REPLY = 5;
const NEED_REPLY = 8;
const MOST_FDS = 253;
/** REPLY_ACK, BACKEND_REQ, BACKEND_SEND_FD, SHMEM. */
const PROTOCOL_FEATURES = (1 << 3) | (1 << 5) | (1 << 10) | (1 << 22);

const GET_FEATURES = 1;
const GET_PROTOCOL_FEATURES = 15;
const SET_BACKEND_REQ_FD = 21;
const GET_SHMEM_CONFIG = 44;
export const SHMEM_MAP = 9;
export const SHMEM_UNMAP = 10;

/** Fields of `struct VhostUserMMap`, any 64 bits. */
export interface RawMapping {
  readonly shmid: number;
  readonly fdOffset: number | bigint;
  readonly shmOffset: number | bigint;
  readonly len: number | bigint;
  readonly flags: number | bigint;
}

export interface RawBackendOptions {
  readonly sys: Sys;
  readonly handlers: FrontendHandlers;
  /** Bytes of the one region, shmid 0. */
  readonly regionSize: number;
  readonly log?: Logger;
}

export class RawBackend implements Disposable {
  readonly loop: BlockingLoop;
  readonly frontend: FrontendConnection;
  readonly #sys: Sys;
  readonly #main: Fd;
  #back: Fd | null = null;

  /** Negotiates. */
  constructor({ sys, handlers, regionSize, log }: RawBackendOptions) {
    this.#sys = sys;
    this.loop = new BlockingLoop(sys);
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    this.#main = new Fd(sys.fd, pair[0]!);
    const socket = new Fd(sys.fd, pair[1]!);
    this.frontend = new FrontendConnection({ sys, loop: this.loop, socket, handlers, log: log ?? silentLogger });
    const all = new FeatureSet(0xffff_ffff, 0xffff_ffff);
    let outcome: Error | null | undefined;
    this.frontend.negotiate({ features: all, protocolFeatures: all }, (error) => {
      outcome = error;
    });
    while (outcome === undefined) {
      this.settle();
      this.#answer(regionSize);
      this.settle();
    }
    if (outcome !== null) {
      throw outcome;
    }
  }

  /** The front-end works off what is there. */
  settle(): void {
    while (this.loop.runOnce(0) > 0);
  }

  /** One request on the back channel, answer wanted. @returns false when the socket takes no more */
  send(id: number, mapping: RawMapping, fds: readonly number[] = []): boolean {
    const message = new DataView(new ArrayBuffer(HEADER_LEN + 40));
    header(message, id, VERSION | NEED_REPLY, 40);
    message.setUint8(12, mapping.shmid);
    message.setBigUint64(20, BigInt.asUintN(64, BigInt(mapping.fdOffset)), true);
    message.setBigUint64(28, BigInt.asUintN(64, BigInt(mapping.shmOffset)), true);
    message.setBigUint64(36, BigInt.asUintN(64, BigInt(mapping.len)), true);
    message.setBigUint64(44, BigInt.asUintN(64, BigInt(mapping.flags)), true);
    return this.sendBytes(new Uint8Array(message.buffer), fds);
  }

  /** Any bytes on the back channel. @returns false when the socket takes no more, or is closed */
  sendBytes(bytes: Uint8Array, fds: readonly number[] = []): boolean {
    const fdArray = fds.length === 0 ? null : Int32Array.from(fds);
    const sent = this.#sys.socket.sendmsg(this.#back!.fd, bytes, bytes.length, fdArray, fds.length);
    if (sent !== -EAGAIN && sent !== -EPIPE && sent !== -ECONNRESET) {
      check(sent, 'sendmsg');
    }
    return sent === bytes.length;
  }

  /** Any bytes on the main channel. */
  sendMain(bytes: Uint8Array): void {
    check(this.#sys.socket.sendmsg(this.#main.fd, bytes, bytes.length, null, 0), 'sendmsg');
  }

  /** The answers on the back channel so far, as signed numbers; what is no answer is told as a text. */
  answers(): (number | string)[] {
    const found: (number | string)[] = [];
    for (;;) {
      this.settle();
      const bytes = new Uint8Array(HEADER_LEN + 8);
      const result = this.#sys.socket.makeRecvResult(1);
      const got = this.#sys.socket.recvmsg(this.#back!.fd, bytes, bytes.length, result);
      if (got === -EAGAIN) {
        return found;
      }
      if (got <= 0) {
        found.push('closed');
        return found;
      }
      const view = new DataView(bytes.buffer);
      const good = got === bytes.length && view.getUint32(4, true) === REPLY && view.getUint32(8, true) === 8;
      found.push(good ? Number(view.getBigInt64(HEADER_LEN, true)) : `a bad answer of ${got} bytes`);
    }
  }

  closeBack(): void {
    this.#back!.close();
  }

  closeMain(): void {
    this.#main.close();
  }

  [Symbol.dispose](): void {
    this.frontend[Symbol.dispose]();
    this.#main.close();
    this.#back?.close();
    this.settle();
    this.loop[Symbol.dispose]();
  }

  #answer(regionSize: number): void {
    const head = new Uint8Array(HEADER_LEN);
    const result = this.#sys.socket.makeRecvResult(MOST_FDS);
    if (this.#sys.socket.recvmsg(this.#main.fd, head, head.length, result) !== HEADER_LEN) {
      return;
    }
    const view = new DataView(head.buffer);
    const [id, flags, size] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
    if (size > 0) {
      this.#sys.socket.recvmsg(this.#main.fd, new Uint8Array(size), size, this.#sys.socket.makeRecvResult(1));
    }
    if (id === SET_BACKEND_REQ_FD) {
      this.#back = new Fd(this.#sys.fd, result.fds[0]!);
    }
    const replies: Record<number, bigint[]> = {
      [GET_FEATURES]: [(1n << 32n) | (1n << 30n)],
      [GET_PROTOCOL_FEATURES]: [BigInt(PROTOCOL_FEATURES)],
      [GET_SHMEM_CONFIG]: [1n, BigInt(regionSize)],
    };
    const words = replies[id] ?? ((flags & NEED_REPLY) === 0 ? null : [0n]);
    if (words !== null) {
      const payload = new Uint8Array(BigUint64Array.from(words).buffer);
      const message = new DataView(new ArrayBuffer(HEADER_LEN));
      header(message, id, REPLY, payload.length);
      this.sendMain(new Uint8Array([...new Uint8Array(message.buffer), ...payload]));
    }
  }
}

function header(view: DataView, id: number, flags: number, size: number): void {
  view.setUint32(0, id, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, size, true);
}
