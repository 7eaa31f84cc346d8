/** The reading half of a channel: bytes and descriptors of one socket become messages. */
import { EAGAIN, ECONNRESET, EINTR, errnoName, type Fd, type RecvResult, type Sys } from '@oriel/sys';
import { type VhostUserBlame, VhostUserError, type VhostUserErrorCode } from './errors.ts';
import {
  VHOST_USER_NEED_REPLY_MASK,
  VHOST_USER_REPLY_MASK,
  VHOST_USER_VERSION,
  VHOST_USER_VERSION_MASK,
  VhostUserHeader,
} from './layout.ts';
import { MAX_PAYLOAD } from './protocol/payload.ts';
import { ReceivedFds } from './received-fds.ts';

const HEADER = VhostUserHeader.byteLength;
const KNOWN_FLAGS = VHOST_USER_VERSION_MASK | VHOST_USER_REPLY_MASK | VHOST_USER_NEED_REPLY_MASK;
/** More than any message may carry, so that a peer that sends too many is told so rather than cut off. */
const RECEIVE_FDS = 32;

/** A message as read. The object and its buffer are the channel's: valid only during `onMessage`. */
export interface IncomingMessage {
  readonly id: number;
  readonly flags: number;
  /** Payload bytes. */
  readonly size: number;
  /** The payload is bytes [0, size); what stands behind it is older. */
  readonly view: DataView;
  /** The same memory as `view`. */
  readonly bytes: Uint8Array;
  readonly fds: ReceivedFds;
}

/** The first bytes of a message, and its descriptors, given away. */
export interface ReceivedPart {
  readonly bytes: Uint8Array;
  readonly fds: readonly Fd[];
}

/** Reads messages one by one. */
export class MessageReader {
  /** The last one; its descriptors are the reader's until they are taken. */
  readonly message: IncomingMessage;
  /** Why nothing more can be read; null: the stream ended between two messages; undefined: it goes on. */
  end: VhostUserError | null | undefined;
  readonly #sys: Pick<Sys, 'fd' | 'socket'>;
  readonly #socket: Fd;
  readonly #peer: VhostUserBlame;
  readonly #buffer = new Uint8Array(HEADER + MAX_PAYLOAD);
  readonly #header = new DataView(this.#buffer.buffer, 0, HEADER);
  readonly #received: RecvResult;
  readonly #parts: { -readonly [K in keyof IncomingMessage]: IncomingMessage[K] };
  #have = 0;

  /** @param socket - lent @param peer - to blame */
  constructor(sys: Pick<Sys, 'fd' | 'socket'>, socket: Fd, peer: VhostUserBlame) {
    this.#sys = sys;
    this.#socket = socket;
    this.#peer = peer;
    this.#received = sys.socket.makeRecvResult(RECEIVE_FDS);
    this.#parts = {
      id: 0,
      flags: 0,
      size: 0,
      view: new DataView(this.#buffer.buffer, HEADER),
      bytes: this.#buffer.subarray(HEADER),
      fds: new ReceivedFds(sys.fd),
    };
    this.message = this.#parts;
  }

  /** @returns true when `message` is complete; else more is awaited, or `end` tells why not */
  read(): boolean {
    if (!this.#fillTo(HEADER)) {
      return false;
    }
    const message = this.#parts;
    message.id = VhostUserHeader.request.get(this.#header, 0);
    message.flags = VhostUserHeader.flags.get(this.#header, 0);
    message.size = VhostUserHeader.size.get(this.#header, 0);
    const refusal = checkHeader(message);
    if (refusal !== null) {
      const { id, flags, size } = message;
      return this.#fail(refusal, `header ${id}, flags 0x${flags.toString(16)}, size ${size}`);
    }
    if (!this.#fillTo(HEADER + message.size)) {
      return false;
    }
    this.#have = 0;
    return true;
  }

  /** What was read of a message that is not complete. */
  takePart(): ReceivedPart {
    return { bytes: this.#buffer.slice(0, this.#have), fds: this.#parts.fds.takeAll() };
  }

  /** Goes on behind what another reader took of this socket; before anything else is read. @throws RangeError for too much */
  resumeWith({ bytes, fds }: ReceivedPart): void {
    this.#buffer.set(bytes);
    this.#have = bytes.length;
    for (const fd of fds) {
      this.#parts.fds.push(fd.take());
    }
  }

  /** Reads until `want` bytes of the message are there. @returns false when they are not (yet) */
  #fillTo(want: number): boolean {
    while (this.#have < want) {
      const result = this.#receive(want);
      if (result === -EINTR) {
        continue;
      }
      if (result === -EAGAIN) {
        return false;
      }
      // A peer that leaves without reading all of its answers gives ECONNRESET: it left, no more.
      if (result < 0 && result !== -ECONNRESET) {
        this.end = socketError('recvmsg', result);
        return false;
      }
      if (result <= 0) {
        if (this.#have > 0) {
          return this.#fail('ERR_VU_EOF', `stream ended after ${this.#have} bytes`);
        }
        this.end = null;
        return false;
      }
      const first = this.#have === 0;
      this.#have += result;
      if (!this.#fdsAreGood(first)) {
        return false;
      }
    }
    return true;
  }

  #receive(want: number): number {
    const received = this.#received;
    received.fdCount = 0;
    received.truncated = false;
    const room = this.#buffer.subarray(this.#have, want);
    const result = this.#sys.socket.recvmsg(this.#socket.fd, room, room.length, received);
    for (let index = 0; index < received.fdCount; index++) {
      this.#parts.fds.push(received.fds[index]!);
    }
    return result;
  }

  #fdsAreGood(first: boolean): boolean {
    if (this.#received.truncated) {
      return this.#fail('ERR_VU_FDS_LOST', 'more descriptors than one message may carry, some were lost');
    }
    if (!first && this.#received.fdCount > 0) {
      return this.#fail('ERR_VU_FDS', 'descriptors came after the first byte of their message');
    }
    return true;
  }

  #fail(code: VhostUserErrorCode, detail: string): false {
    this.end = new VhostUserError(code, this.#peer, detail);
    return false;
  }
}

function checkHeader(message: IncomingMessage): VhostUserErrorCode | null {
  if ((message.flags & VHOST_USER_VERSION_MASK) !== VHOST_USER_VERSION) {
    return 'ERR_VU_VERSION';
  }
  if ((message.flags & ~KNOWN_FLAGS) !== 0) {
    return 'ERR_VU_FLAGS';
  }
  return message.size > MAX_PAYLOAD ? 'ERR_VU_TOO_LARGE' : null;
}

/** A call on a socket failed: the host is to blame. */
export function socketError(call: string, result: number): VhostUserError {
  return new VhostUserError('ERR_VU_SOCKET', 'host', `${call}: ${errnoName(-result)}`);
}
