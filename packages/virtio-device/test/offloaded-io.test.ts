import { BlockingLoop, check, Fd, Mapping, openOffload, SYS } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { expect } from 'chai';
import { EchoDevice } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

/** Bytes of an answer, and of the iovec that points to it. */
const BYTES = 16;

/** Answers each chain with what a helper thread reads from a socket. */
class ReadingDevice extends EchoDevice {
  /** What the helper's system calls gave. */
  readonly results: number[] = [];
  readonly #socket: number;
  readonly #iovec: Mapping;
  #queue: DeviceQueue | null = null;

  constructor(socket: number, iovec: Mapping) {
    super();
    this.#socket = socket;
    this.#iovec = iovec;
  }

  override startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    super.startQueue(index, queue, fresh);
    this.#queue = queue;
  }

  override process(): boolean {
    const chain = this.#queue!.next();
    if (chain !== null) {
      expect(chain.writeIovec(0, BYTES, new Uint32Array(this.#iovec.u8.buffer), 1)).to.equal(1);
      // Offset -1: where the socket is.
      const args = [this.#socket, this.#iovec.addr, 1, -1, -1, 0];
      this.host!.offload.submit(SYS.preadv2, args, (result) => this.#done(chain, result));
    }
    return false;
  }

  override stopQueue(index: number): void {
    this.host!.offload.drain();
    super.stopQueue(index);
  }

  #done(chain: Chain, result: number): void {
    this.results.push(result);
    chain.queue.complete(chain, 0);
  }
}

describe('a system call that a helper thread makes in guest memory', () => {
  it('finds the memory mapped to its end, though the region has left the table', async () => {
    using _leaks = leakCheck();
    const ends = new Int32Array(2);
    check(sys.socket.socketpair(ends), 'socketpair');
    using ours = new Fd(sys.fd, ends[0]!);
    using theirs = new Fd(sys.fd, ends[1]!);
    check(sys.fd.setNonBlocking(ours.fd, false), 'fcntl');
    using iovec = Mapping.anonymous(sys.mem, BYTES);
    const device = new ReadingDevice(ours.fd, iovec);
    const helperGone = Promise.withResolvers<void>();
    const loop = new BlockingLoop(sys);
    const offload = openOffload(sys, loop, { onHelperExit: helperGone.resolve });
    const machine = new Machine(device, { offload }, {}, loop);
    try {
      offload.submit(SYS.geteuid, [], () => {});
      offload.drain();
      const driver = machine.start(1);
      driver.send([], [BYTES]);
      machine.mock.runUntil(() => offload.pending === 1);
      machine.mock.withdrawRam();
      expect(offload.pending).to.equal(1);
      sys.fd.write(theirs.fd, new Uint8Array(BYTES).fill(7), BYTES);
      machine.mock.runUntil(() => device.results.length > 0);
      expect(device.results).to.deep.equal([BYTES]);
    } finally {
      theirs.close();
      machine.server[Symbol.dispose]();
      offload[Symbol.dispose]();
      machine[Symbol.dispose]();
    }
    await helperGone.promise;
  });
});
