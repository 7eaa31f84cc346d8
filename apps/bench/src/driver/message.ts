/**
 * A request that is put together once and sent again and again. It lies in guest memory as Linux lays it: header,
 * header of the answer, and one buffer for the arguments with those of the answer right behind them.
 */
import { FuseInHeader, FuseOutHeader, opcodeName } from '@oriel/fuse';
import type { RequestBuilder } from '@oriel/fuse/client';
import { errnoName } from '@oriel/sys';
import type { DriverBuffer } from '@oriel/virtqueue';
import { BenchError } from '../errors.ts';
import { type GuestRam, PAGE, RAM_GPA } from './ram.ts';
import type { RequestQueue } from './request-queue.ts';
import type { Prepared } from './work.ts';

const IN = FuseInHeader.byteLength;
const OUT = FuseOutHeader.byteLength;
const UNIQUE = FuseInHeader.unique.offset / 4;
const NODEID = FuseInHeader.nodeid.offset / 4;

/** Pages of file data of a request, each a descriptor of its own; they go to the device, or come from it. */
export interface MessageData {
  /** Offsets in guest memory; page by page. */
  readonly pages: Uint32Array;
  readonly direction: 'write' | 'read';
}

/** Which operation a request belongs to, and how it is sent. */
export class Message implements Prepared {
  readonly slot: number;
  readonly queue: RequestQueue;
  /** Head of its chain. */
  readonly head: number;
  /** Offset of the arguments in guest memory, bytes. */
  readonly args: number;
  /** Offset of the answer's arguments, bytes; any number, since a name may stand before it. */
  readonly body: number;
  /** Bytes of an answer that is no error, where they are fixed. */
  readonly answerLen: number;
  /** Offsets of the data's pages. */
  readonly pages: Uint32Array;
  readonly #words: Uint32Array;
  readonly #request: number;
  readonly #answer: number;

  /**
   * Writes a request into guest memory and prepares its chain.
   * @param encoder - holds the request
   * @throws RangeError when the ring or the memory is full
   */
  constructor(ram: GuestRam, queue: RequestQueue, slot: number, encoder: RequestBuilder, data?: MessageData) {
    const { bytes, len, room } = encoder;
    const argBytes = len - IN;
    const bodyBytes = data?.direction === 'read' || room === 0 ? 0 : room - OUT;
    const at = ram.take(IN + OUT + argBytes + bodyBytes);
    this.slot = slot;
    this.queue = queue;
    this.args = at + IN + OUT;
    this.body = this.args + argBytes;
    this.answerLen = room;
    this.pages = data?.pages ?? new Uint32Array(0);
    this.#words = ram.words;
    this.#request = at / 4;
    this.#answer = (at + IN) / 4;
    ram.u8.set(bytes.subarray(0, IN), at);
    ram.u8.set(bytes.subarray(IN, len), this.args);
    const pieces = Array.from(this.pages, (page) => buffer(page, PAGE, data?.direction === 'read'));
    const buffers = [
      buffer(at, IN, false),
      buffer(this.args, argBytes, false),
      ...(data?.direction === 'write' ? pieces : []),
      buffer(at + IN, room === 0 ? 0 : OUT, true),
      buffer(this.body, bodyBytes, true),
      ...(data?.direction === 'read' ? pieces : []),
    ];
    this.head = queue.prepare(
      this,
      buffers.filter((one) => one.len > 0),
    );
  }

  /** Gives the request another file. */
  set(unique: number, nodeLo: number, nodeHi: number): void {
    const words = this.#words;
    const request = this.#request;
    words[request + UNIQUE] = unique;
    words[request + NODEID] = nodeLo;
    words[request + NODEID + 1] = nodeHi;
  }

  /**
   * Checks an answer as Linux does: its length, its unique, and that it is no error.
   * @param len - bytes that it must have
   * @param used - bytes that the used ring says
   * @throws BenchError ERR_BENCH_ANSWER
   */
  expect(len: number, used: number): void {
    const words = this.#words;
    const answer = this.#answer;
    if (
      used !== len ||
      words[answer] !== len ||
      words[answer + 1] !== 0 ||
      words[answer + 2] !== words[this.#request + UNIQUE] ||
      words[answer + 3] !== words[this.#request + UNIQUE + 1]
    ) {
      throw this.wrong(`${used} bytes used, wanted ${len}`);
    }
  }

  /** Bytes of the answer as its header says, checked against the used ring. @throws BenchError ERR_BENCH_ANSWER */
  lengthOf(used: number): number {
    this.expect(this.#words[this.#answer]!, used);
    return used;
  }

  /** The error that tells what is wrong with the answer. */
  wrong(what: string): BenchError {
    const words = this.#words;
    const { 0: len, 1: error, 2: unique } = words.subarray(this.#answer, this.#answer + 3);
    const name = opcodeName(words[this.#request + FuseInHeader.opcode.offset / 4]!);
    const said = `answer: len ${len}, error ${error === 0 ? 0 : errnoName(-(error! | 0))}, unique ${unique}`;
    return new BenchError('ERR_BENCH_ANSWER', `${name} in slot ${this.slot}: ${what} (${said})`);
  }
}

function buffer(at: number, len: number, writable: boolean): DriverBuffer {
  return { gpa: RAM_GPA + at, len, writable };
}
