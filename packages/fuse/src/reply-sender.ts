/** Sends replies: the header, the counters, the trace, the complaints about what a driver did wrong. */
import { channel } from 'node:diagnostics_channel';
import { EIO, ENOSYS, EOPNOTSUPP, type Logger } from '@oriel/sys';
import type { FuseMessage } from './message.ts';
import { HEADER_WORD, type OperationRecord } from './operation-record.ts';
import { UNSERVED } from './pending.ts';
import {
  OUT_HEADER,
  opcodeName,
  REPLY_DATA,
  REPLY_IN_PLACE,
  REPLY_IOCTL,
  REPLY_RECORDS,
  REPLY_SILENT,
} from './protocol.ts';

/** Errors from here on are no errors to a driver. */
const ERRNO_END = 512;
/** Every reply, as {@link ReplyTrace}. */
const replies = channel('oriel:fuse:reply');

/** Counters of a session. */
export interface SessionStats {
  /** Messages handled. */
  readonly requests: number;
  /** Replies with an error, ENOENT of a LOOKUP among them. */
  readonly errors: number;
  /** Messages that break the protocol's rules. */
  readonly malformed: number;
}

/** What the diagnostics channel `oriel:fuse:reply` publishes. */
export interface ReplyTrace {
  readonly opcode: number;
  readonly name: string;
  readonly nodeid: number;
  readonly unique: readonly [lo: number, hi: number];
  /** 0 or a positive errno. */
  readonly error: number;
  /** Bytes of the reply. */
  readonly written: number;
}

/** The way out of a session. */
export class ReplySender {
  readonly stats = { requests: 0, errors: 0, malformed: 0 };
  /** Completes a message: `written` bytes of the reply are in place. */
  readonly finish: (message: FuseMessage, written: number) => void;
  readonly #log: Logger;

  constructor(finish: (message: FuseMessage, written: number) => void, log: Logger) {
    this.finish = finish;
    this.#log = log;
  }

  /**
   * Puts the header before `body` bytes that are in the message already, or stand behind the header in `op`.
   * @returns the reply's length; 0 when it could not be written
   */
  put(op: OperationRecord, message: FuseMessage, body: number): number {
    const shape = op.reply;
    const written = OUT_HEADER + body;
    const inMessage =
      shape === REPLY_IN_PLACE || shape === REPLY_DATA || shape === REPLY_RECORDS || shape === REPLY_IOCTL;
    return this.#write(op, message, 0, written, inMessage ? OUT_HEADER : written);
  }

  /** Answers with an error, or ends a request that has no reply. @param error - a negative errno, or UNSERVED */
  putError(op: OperationRecord, error: number): void {
    const message = op.message!;
    this.stats.errors++;
    if (op.reply === REPLY_SILENT) {
      this.finish(message, 0);
      return;
    }
    // A Filesystem's ENOSYS, most often the host's, would switch the opcode off until the next mount.
    const errno = error === UNSERVED ? ENOSYS : error === -ENOSYS ? EOPNOTSUPP : -error;
    const told = errno >= 1 && errno < ERRNO_END ? errno : EIO;
    this.finish(message, this.#write(op, message, told, OUT_HEADER, OUT_HEADER));
  }

  /** Logs the first, second, fourth, ... broken request: a driver could fill the disk with more. */
  complain(text: string, op: OperationRecord, error: number): void {
    const count = ++this.stats.malformed;
    if ((count & (count - 1)) === 0) {
      const { readBytes, writeBytes } = op.message!;
      this.#log.warn(text, { opcode: opcodeName(op.opcode), error, readBytes, writeBytes, count });
    }
  }

  #write(op: OperationRecord, message: FuseMessage, errno: number, written: number, len: number): number {
    const words = op.u32;
    words[0] = written;
    words[1] = -errno;
    words[2] = words[HEADER_WORD + 2]!;
    words[3] = words[HEADER_WORD + 3]!;
    if (message.write(0, op.u8, 0, len) !== len) {
      this.complain('fuse: the reply could not be written', op, errno);
      return 0;
    }
    if (replies.hasSubscribers) {
      const { opcode, nodeid } = op;
      const unique = [words[2]!, words[3]!] as const;
      const trace: ReplyTrace = { opcode, name: opcodeName(opcode), nodeid, unique, error: errno, written };
      replies.publish(trace);
    }
    return written;
  }
}
