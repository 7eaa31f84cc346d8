/** The network card of a machine: what a virtio-net driver does with its first pair of queues (VIRTIO 1.3, 5.1). */
import type { MockDriver } from '@oriel/virtio-device/testing';
import type { PeerMachine } from './peer-machine.ts';

/** Bytes of `struct virtio_net_hdr_v1`, in front of each frame. */
const HEADER = 12;
/** Bytes of a receive buffer. */
const ROOM = 2048;
const RX = 0;
const TX = 1;

/** Sends and receives frames. */
export class PeerNetwork {
  readonly #machine: PeerMachine;
  readonly #rx: MockDriver;
  readonly #tx: MockDriver;

  /** @param size - entries of each ring; all receive buffers are given at once */
  constructor(machine: PeerMachine, size: number) {
    this.#machine = machine;
    this.#rx = machine.start(RX, size);
    this.#tx = machine.start(TX, size);
    for (let n = 0; n < size / 2; n++) this.#give();
    machine.ready();
  }

  /**
   * Sends frames, `depth` of them at once, each of which the other side answers with one frame.
   * @returns the answers, as they came
   * @throws Error when an answer is missing for five seconds
   */
  exchange(frames: readonly Uint8Array[], depth: number): Uint8Array[] {
    const answers: Uint8Array[] = [];
    let sent = 0;
    let returned = 0;
    const turn = (): boolean => {
      const before = answers.length + returned;
      for (let reply = this.#rx.take(); reply !== null; reply = this.#rx.take()) {
        answers.push(reply.bytes.slice(HEADER, reply.written));
        this.#give();
      }
      while (this.#tx.take() !== null) returned++;
      for (; sent < frames.length && sent - Math.min(answers.length, returned) < depth; sent++) {
        this.#tx.send([new Uint8Array(HEADER), frames[sent]!]);
      }
      return answers.length + returned > before;
    };
    turn();
    while (answers.length < frames.length || returned < frames.length) this.#machine.mock.runUntil(turn);
    return answers;
  }

  /** Stops both rings and starts them again where they were. */
  restart(): void {
    const { mock } = this.#machine;
    const bases = [RX, TX].map((index) => mock.stopRing(index));
    for (const [index, driver] of [this.#rx, this.#tx].entries()) this.#machine.resume(index, driver, bases[index]!);
    this.#machine.ready();
  }

  #give(): void {
    // One buffer, as Linux gives: passt dies by an assertion of a chain of two.
    this.#rx.send([], [HEADER + ROOM]);
  }
}
