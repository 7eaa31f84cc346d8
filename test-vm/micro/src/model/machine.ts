/** Both sides of a real connection in one thread: a region with its ledger, a socket, a front-end with its window. */
import type { BackendRegion, UnmappedPolicy, Window, WireMapping } from '@oriel/shm-region';
import { BlockingLoop, check, Fd, type Sys } from '@oriel/sys';
import type { FrontendProfile } from '@oriel/vhost-user';
import { BackSide, SHMID } from '../sides/back-side.ts';
import { FrontSide } from '../sides/front-side.ts';
import type { Library } from '../sides/library.ts';

export interface MachineOptions {
  /** Its page size is the region's. */
  readonly sys: Sys;
  readonly library: Library;
  readonly profile: FrontendProfile;
  readonly size: number;
  readonly unmapped: UnmappedPolicy;
}

const SHUT_RDWR = 2;
/** Longer than any fence waits for a memory-table update. */
const LONGEST_TIMER_MS = 1000;

export class Machine implements Disposable {
  readonly #options: MachineOptions;
  readonly #loop: BlockingLoop;
  #back: BackSide;
  #front: FrontSide;
  /** The front-end's end of the main channel: a number, lent. */
  #socket = -1;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#loop = new BlockingLoop(options.sys);
    this.#back = this.#makeBack();
    this.#front = this.#makeFront();
    this.connect();
  }

  get region(): BackendRegion {
    return this.#back.region;
  }

  get window(): Window {
    return this.#front.window;
  }

  /** A front-end connects, negotiates and starts its ring. */
  connect(): void {
    const { sys } = this.#options;
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    this.#socket = pair[1]!;
    this.#back.connect(new Fd(sys.fd, pair[0]!));
    this.#front.connect(new Fd(sys.fd, pair[1]!));
  }

  /** Works until nothing is left to do, and for as long as `waits` says that a timer must bring the rest. */
  settle(waits: () => boolean = () => false): void {
    do {
      while (this.#loop.runOnce(0) > 0);
    } while (waits() && this.#loop.runOnce(LONGEST_TIMER_MS) > 0);
  }

  /** The driver stops. */
  pause(): void {
    this.#front.stop();
  }

  resume(): void {
    this.#front.start();
  }

  /** A device reset of a running driver, which starts again. */
  reset(): void {
    this.pause();
    this.#front.reset();
    this.resume();
  }

  /** The front-end goes in good order. */
  disconnect(): void {
    this.#front.disconnect();
    this.settle();
  }

  /** The back-end is gone from one moment to the next; another one stands there, with nobody connected. */
  crashBackEnd(): void {
    this.#options.sys.socket.shutdown(this.#socket, SHUT_RDWR);
    this.#back[Symbol.dispose]();
    this.#back = this.#makeBack();
    this.settle();
    this.#front.disconnect();
  }

  /** The front-end is gone from one moment to the next, its window with it. */
  crashFrontEnd(): void {
    this.#options.sys.socket.shutdown(this.#socket, SHUT_RDWR);
    this.#front[Symbol.dispose]();
    this.settle();
    this.#front = this.#makeFront();
  }

  /** A message past the ledger. @param done - the front-end's answer, when the machine settles */
  rogueMap(wire: Omit<WireMapping, 'shmid'>, fd: number, done: (error: number) => void): void {
    this.#back.connection.mapTransport.map({ ...wire, shmid: SHMID }, fd, done);
  }

  rogueUnmap(wire: Omit<WireMapping, 'shmid'>, done: (error: number) => void): void {
    this.#back.connection.mapTransport.unmap({ ...wire, shmid: SHMID }, done);
  }

  [Symbol.dispose](): void {
    this.#front[Symbol.dispose]();
    this.#back[Symbol.dispose]();
    this.settle();
    this.#loop[Symbol.dispose]();
  }

  #makeBack(): BackSide {
    return new BackSide({ ...this.#options, loop: this.#loop });
  }

  #makeFront(): FrontSide {
    return new FrontSide({ ...this.#options, loop: this.#loop });
  }
}
