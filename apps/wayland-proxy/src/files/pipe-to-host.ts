/** Data that a client writes into a pipe of ours, on its way into the pipe that the compositor gave. */
import { check, EAGAIN, EPOLLIN, type EventLoop, Fd, type Watch } from '@oriel/sys';
import { type HostChannel, MAX_WRITE_LEN } from '../channel/host-channel.ts';
import { FlowGate } from '../proxy/flow-gate.ts';
import type { FileSys } from './client-file.ts';

/** Reads in a row before others have their turn. */
const MAX_READS = 16;
/** Reads of what a client left behind: no pipe holds more. */
const MAX_LAST_READS = 256;

export interface PipeToHostOptions {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  readonly channel: HostChannel;
  /** The host's number of the pipe. */
  readonly id: number;
  /** Runs what may throw. */
  readonly guard: (work: () => void) => void;
  readonly onClosed: () => void;
}

export class PipeToHost implements Disposable {
  readonly #options: PipeToHostOptions;
  readonly #reading: Fd;
  readonly #watch: Watch;
  readonly #buffer = new Uint8Array(MAX_WRITE_LEN);
  readonly #gate = new FlowGate(() => this.#watch.modify(EPOLLIN));
  /** The client's end, for the client. */
  readonly writing: Fd;

  /** @throws SysError EMFILE */
  constructor(options: PipeToHostOptions) {
    const { sys, loop, guard } = options;
    const ends = new Int32Array(2);
    check(sys.fd.pipe(ends), 'pipe2');
    this.#options = options;
    this.#reading = new Fd(sys.fd, ends[0]!);
    this.writing = new Fd(sys.fd, ends[1]!);
    try {
      check(sys.fd.setNonBlocking(this.#reading.fd, true), 'fcntl');
      this.#watch = loop.watch(this.#reading.fd, EPOLLIN, () => guard(() => this.#forward(MAX_READS)));
    } catch (error) {
      this.#reading.close();
      this.writing.close();
      throw error;
    }
  }

  /** The client is gone: what it wrote still counts. @throws ProxyError ERR_PROXY_DEVICE */
  finish(): void {
    this.#forward(MAX_LAST_READS);
    if (!this.#reading.closed) this.#end();
  }

  [Symbol.dispose](): void {
    if (this.#reading.closed) return;
    this.#watch[Symbol.dispose]();
    this.#reading.close();
    this.writing.close();
  }

  #forward(reads: number): void {
    const { sys, channel, id } = this.#options;
    for (let count = 0; count < reads; count++) {
      const len = sys.fd.read(this.#reading.fd, this.#buffer, this.#buffer.length);
      if (len === -EAGAIN) return;
      if (len <= 0) {
        this.#end();
        return;
      }
      channel.write(id, this.#buffer.subarray(0, len), false, this.#gate.charge(len));
      if (!this.#gate.isOpen && reads !== MAX_LAST_READS) {
        this.#watch.modify(0);
        return;
      }
    }
  }

  #end(): void {
    const { channel, id, onClosed } = this.#options;
    this[Symbol.dispose]();
    channel.write(id, this.#buffer.subarray(0, 0), true);
    onClosed();
  }
}
