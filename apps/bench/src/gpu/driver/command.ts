/** A virtio-gpu command that is put together once and sent again and again, and what comes behind it. */
import { CtrlHdr, VIRTIO_GPU_RESP_OK_NODATA } from '@oriel/gpu-blob';
import { replySize, typeOf } from '@oriel/gpu-blob/testing';
import { RAM_GPA } from '../../driver/ram.ts';
import type { RequestQueue } from '../../driver/request-queue.ts';
import type { Prepared } from '../../driver/work.ts';
import { BenchError } from '../../errors.ts';
import type { GpuSession } from './session.ts';

/** What a command needs beside its bytes. */
export interface CommandOptions {
  /** VIRTIO_GPU_RESP_OK_* that it must get; default NODATA. */
  readonly answer?: number;
  /** Sent when this one was answered; default: the operation is done. */
  readonly next?: GpuCommand;
}

/** One command on the control queue. */
export class GpuCommand implements Prepared {
  readonly slot: number;
  readonly queue: RequestQueue<GpuCommand>;
  readonly head: number;
  readonly next: GpuCommand | null;
  readonly #type: number;
  readonly #answer: number;
  readonly #answerBytes: number;
  readonly #words: Uint32Array;
  /** Index of the answer's type. */
  readonly #word: number;

  /** Writes the request into guest memory and prepares its chain. @throws RangeError when the ring or memory is full */
  constructor(
    session: Pick<GpuSession, 'ram' | 'requests'>,
    slot: number,
    request: Uint8Array,
    options: CommandOptions,
  ) {
    const { ram, requests } = session;
    const { answer = VIRTIO_GPU_RESP_OK_NODATA, next = null } = options;
    const at = ram.take(request.length);
    this.slot = slot;
    this.queue = requests;
    this.next = next;
    this.#type = typeOf(request);
    this.#answer = answer;
    this.#answerBytes = replySize(this.#type);
    this.#words = ram.words;
    const answerAt = ram.take(this.#answerBytes);
    this.#word = (answerAt + CtrlHdr.type.offset) / 4;
    ram.u8.set(request, at);
    this.head = requests.prepare(this, [
      { gpa: RAM_GPA + at, len: request.length, writable: false },
      { gpa: RAM_GPA + answerAt, len: this.#answerBytes, writable: true },
    ]);
  }

  /** Checks the answer. @param used - bytes that the used ring says @throws BenchError ERR_BENCH_ANSWER */
  expect(used: number): void {
    const type = this.#words[this.#word]!;
    if (type === this.#answer && used === this.#answerBytes) return;
    const said = `answer 0x${type.toString(16)} of ${used} bytes`;
    throw new BenchError('ERR_BENCH_ANSWER', `command 0x${this.#type.toString(16)} in slot ${this.slot}: ${said}`);
  }
}
