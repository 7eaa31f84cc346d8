/** The answers of a display channel's front-end, checked. */
import { EAGAIN, ECONNRESET, EINTR, errnoName, type RecvResult, type Sys } from '@oriel/sys';
import { GpuMsgHeader, MAX_REPLY_BYTES, REPLY_BYTES, VHOST_USER_GPU_MSG_FLAG_REPLY } from './channel-messages.ts';

const HEADER = GpuMsgHeader.byteLength;
/** None may come; a few are taken so that they are closed and the mistake is named. */
const RECEIVE_FDS = 4;

/** Reads one answer after the other from a non-blocking socket. */
export class ReplyReader {
  /** The payload of the answer just read; what stands behind it is older. */
  readonly payload: DataView;
  /** The same memory as `payload`. */
  readonly payloadBytes: Uint8Array;
  readonly #sys: Pick<Sys, 'fd' | 'socket'>;
  readonly #socket: number;
  readonly #bytes = new Uint8Array(HEADER + MAX_REPLY_BYTES);
  readonly #header = new DataView(this.#bytes.buffer, 0, HEADER);
  readonly #received: RecvResult;
  #have = 0;
  #problem: string | null = null;

  /** @param socket - lent; its owner outlives the reader */
  constructor(sys: Pick<Sys, 'fd' | 'socket'>, socket: number) {
    this.#sys = sys;
    this.#socket = socket;
    this.#received = sys.socket.makeRecvResult(RECEIVE_FDS);
    this.payload = new DataView(this.#bytes.buffer, HEADER);
    this.payloadBytes = this.#bytes.subarray(HEADER);
  }

  /** Why the channel cannot go on; null while it can. */
  get problem(): string | null {
    return this.#problem;
  }

  /** @returns which request was answered; 0: no complete answer is there, or the channel is at its end (see `problem`) */
  read(): number {
    if (!this.#fillTo(HEADER)) {
      return 0;
    }
    const request = GpuMsgHeader.request.get(this.#header, 0);
    const flags = GpuMsgHeader.flags.get(this.#header, 0);
    const size = GpuMsgHeader.size.get(this.#header, 0);
    if (flags !== VHOST_USER_GPU_MSG_FLAG_REPLY || REPLY_BYTES.get(request) !== size) {
      this.#problem = `no such answer: request ${request}, flags 0x${flags.toString(16)}, size ${size}`;
      return 0;
    }
    if (!this.#fillTo(HEADER + size)) {
      return 0;
    }
    this.#have = 0;
    return request;
  }

  #fillTo(want: number): boolean {
    while (this.#problem === null && this.#have < want) {
      const result = this.#receive(want);
      if (result === -EAGAIN) {
        return false;
      }
      if (result > 0) {
        this.#have += result;
      } else if (result !== -EINTR) {
        this.#problem ??= this.#endOf(result);
      }
    }
    return this.#problem === null;
  }

  #receive(want: number): number {
    const received = this.#received;
    const room = this.#bytes.subarray(this.#have, want);
    const result = this.#sys.socket.recvmsg(this.#socket, room, room.length, received);
    if (result >= 0 && (received.fdCount > 0 || received.truncated)) {
      for (let index = 0; index < received.fdCount; index++) {
        this.#sys.fd.close(received.fds[index]!);
      }
      this.#problem = 'descriptors came with an answer';
    }
    return result;
  }

  #endOf(result: number): string {
    if (result < 0 && result !== -ECONNRESET) {
      return `recvmsg: ${errnoName(-result)}`;
    }
    return this.#have === 0 ? 'the front-end closed it' : `it ended after ${this.#have} bytes of an answer`;
  }
}
