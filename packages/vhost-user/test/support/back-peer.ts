/** The front-end's end of a back channel, as bytes. */
import { check, Fd, type Sys } from '@oriel/sys';
import { memfd, runningPrelude, u64s } from './prelude.ts';
import { RawPeer } from './raw-peer.ts';
import { RawSetup, type SetupOptions } from './setup.ts';

/** Where the test's front-end puts the window of shmid 0. */
export const WINDOW_GPA = 0xf000_0000;
export const WINDOW_USER = 0x7100_0000_0000;

export function mmapPayload(
  shmid: number,
  fdOffset: number,
  shmOffset: number,
  len: number,
  flags: number,
): Uint8Array {
  return u64s(shmid, fdOffset, shmOffset, len, flags);
}

/** A running back-end with a back channel whose other end speaks bytes. */
export class BackSetup extends RawSetup {
  readonly back: RawPeer;
  readonly #socket: Fd;
  /** A file to map, 1 MiB. */
  readonly file: Fd;
  /** What the maps and unmaps of `map` and `unmap` came to, in order: 'map 0x1000 = 0'. */
  readonly outcomes: string[] = [];

  constructor(options: SetupOptions = {}) {
    super(options);
    runningPrelude(this);
    const [socket, back] = this.openBack(this.sys);
    this.#socket = socket;
    this.back = back;
    this.file = memfd(this.sys, 0x100000);
    this.lines.length = 0;
  }

  /** Sends SET_BACKEND_REQ_FD. */
  openBack(sys: Sys): [Fd, RawPeer] {
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using theirs = new Fd(sys.fd, pair[1]!);
    this.peer.send(21, 1, [], [theirs.fd]);
    this.settle();
    const ours = new Fd(sys.fd, pair[0]!);
    return [ours, new RawPeer(sys, ours, () => this.settle())];
  }

  map(shmOffset: number, fdOffset = 0, len = 0x1000, fd = this.file.fd): void {
    const name = `map 0x${shmOffset.toString(16)}`;
    this.backend.mapTransport.map({ shmid: 0, fdOffset, shmOffset, len, writable: true }, fd, (error) =>
      this.outcomes.push(`${name} = ${error}`),
    );
  }

  unmap(shmOffset: number, len = 0x1000): void {
    const name = `unmap 0x${shmOffset.toString(16)}`;
    this.backend.mapTransport.unmap({ shmid: 0, fdOffset: 0, shmOffset, len, writable: true }, (error) =>
      this.outcomes.push(`${name} = ${error}`),
    );
  }

  /** Takes the one request on the back channel, and answers it with `value`. @returns its number and payload */
  answer(value: number): string {
    const request = this.back.receive();
    for (const fd of request.fds) {
      this.sys.fd.close(fd);
    }
    this.back.send(request.id, 5, u64s(value));
    this.settle();
    return `${request.id} ${Buffer.from(request.payload).toString('hex')}`;
  }

  /** ADD_MEM_REG for part of the window. @returns the ack */
  addRegion(shmOffset: number, fdOffset = 0, len = 0x1000, fd = this.file.fd): number {
    return this.peer.ask(37, u64s(0, WINDOW_GPA + shmOffset, len, WINDOW_USER + shmOffset, fdOffset), [fd]);
  }

  /** REM_MEM_REG. */
  removeRegion(shmOffset: number, len = 0x1000): number {
    return this.peer.ask(38, u64s(0, WINDOW_GPA + shmOffset, len, WINDOW_USER + shmOffset, 0));
  }

  /** Lets the loop wait for timers until something stands in `outcomes`, or `done` holds. */
  runUntil(done: () => boolean): void {
    const end = this.sys.loop.nowNs() + 5e9;
    while (!done()) {
      if (this.sys.loop.nowNs() > end) {
        throw new Error('nothing came');
      }
      this.loop.runOnce(1000);
    }
  }

  closeBack(): void {
    this.#socket.close();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#socket.close();
    this.file.close();
  }
}
