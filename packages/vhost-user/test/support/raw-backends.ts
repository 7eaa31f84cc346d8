/** Back-ends written by hand, one after the other. */
import { ECONNREFUSED, type Fd } from '@oriel/sys';
import { SentFds, u32s, u64s } from './prelude.ts';
import { RawPeer } from './raw-peer.ts';
import type { Guest } from './reconnecting-guest.ts';
import { socketPair } from './setup.ts';

/** The back-end's end of one connection after the other, answering by itself. */
export class RawBackends implements Disposable {
  /** What came, by connection: 'id:payload'. */
  readonly seen: string[][] = [];
  readonly #guest: Guest;
  readonly #inflight: SentFds;
  readonly #sockets: Fd[] = [];
  #current: { peer: RawPeer; features: number; silent: boolean; refuses: number } | null = null;
  features = 0x1_4000_0001;
  queues = 2;
  /** Connections are refused while false. */
  there = true;
  /** Answers nothing. */
  silent = false;
  /** Number of the message that is refused; 0: none. */
  refuses = 0;

  constructor(guest: Guest) {
    this.#guest = guest;
    this.#inflight = new SentFds(guest.sys, ['memory']);
  }

  readonly connect = (): number => {
    if (!this.there) {
      return -ECONNREFUSED;
    }
    const [ours, theirs] = socketPair(this.#guest.sys);
    this.#sockets.push(theirs);
    const { features, silent, refuses } = this;
    const peer = new RawPeer(this.#guest.sys, theirs, () => {});
    this.#current = { peer, features, silent, refuses };
    this.seen.push([]);
    return ours.take();
  };

  /** The back-end dies. */
  kill(): void {
    this.#current = null;
    this.#sockets.at(-1)!.close();
  }

  /** Answers what came, as long as `condition` does not hold. */
  serveUntil(condition: () => boolean): void {
    for (let turn = 0; !condition(); turn++) {
      if (turn > 2000) {
        throw new Error(`nothing came: ${JSON.stringify(this.seen)}`);
      }
      this.#guest.loop.runOnce(5);
      this.#answer();
    }
  }

  #answer(): void {
    const current = this.#current;
    if (current === null || current.silent) {
      return;
    }
    const { peer } = current;
    for (let request = peer.next(); request !== null && request !== 'eof'; request = peer.next()) {
      this.seen.at(-1)!.push(`${request.id}:${Buffer.from(request.payload).toString('hex')}`);
      for (const fd of request.fds) {
        this.#guest.sys.fd.close(fd);
      }
      const answers: Record<number, Uint8Array> = {
        1: u64s(current.features),
        15: u64s(0x1009),
        17: u64s(this.queues),
      };
      const ack = u64s(request.id === current.refuses ? 1 : 0);
      if (request.id === 31) {
        const area = new Uint8Array([...u64s(0x1000, 0), ...u32s(0x10_0001, 0)]);
        peer.send(31, 5, area, this.#inflight.numbers);
      } else if (answers[request.id] !== undefined || (request.flags & 8) !== 0) {
        peer.send(request.id, 5, answers[request.id] ?? ack);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#inflight[Symbol.dispose]();
    for (const socket of this.#sockets) {
      socket.close();
    }
  }
}
