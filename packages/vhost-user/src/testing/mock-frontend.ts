/**
 * A front-end for tests of back-ends: it owns guest RAM, negotiates, and hands out rings with their eventfds. What stands in
 * a ring is the test's business (or a driver's, see virtqueue).
 */
import {
  check,
  type EventLoop,
  F_SEAL_SHRINK,
  Fd,
  type Logger,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_SHMEM,
  VIRTIO_F_RING_PACKED,
} from '../features.ts';
import { FrontendConnection } from '../frontend/connection.ts';
import type { FrontendHandlers, WindowPlacement } from '../frontend/handlers.ts';
import type { SharedObjects } from '../frontend/shared-objects.ts';
import { runUntil } from '../frontend/wait.ts';

/** What a mock front-end is made of. */
export interface MockFrontendOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop' | 'file'>;
  /** A blocking loop, shared with the back-end under test. */
  readonly loop: EventLoop;
  /** Connected socket, given away. */
  readonly socket: Fd;
  /** Bytes of guest RAM; default 1 MiB. */
  readonly ramSize?: number;
  readonly handlers?: FrontendHandlers;
  /** Tells the back-end of mappings by ADD_MEM_REG, as QEMU does. */
  readonly announce?: (shmid: number) => WindowPlacement | null;
  /** Device features to accept where offered; default all. */
  readonly features?: FeatureSet;
  /** Protocol features to accept where offered; default all that `FrontendConnection` serves. */
  readonly protocolFeatures?: FeatureSet;
  readonly shmemBit?: number;
  /** Where shared objects are known, for devices that export or import them. */
  readonly sharedObjects?: SharedObjects;
  readonly log?: Logger;
}

/** Where a ring stands. Addresses are GPAs; left out, the ring takes its place in a row from the start of RAM. */
export interface MockRingOptions {
  /** Entries; default 16. */
  readonly size?: number;
  readonly base?: number;
  readonly desc?: number;
  readonly avail?: number;
  readonly used?: number;
}

/** A started ring. Addresses are GPAs; the eventfds belong to the mock. */
export interface MockRing {
  readonly index: number;
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly kickFd: number;
  readonly callFd: number;
}

interface Eventfds {
  readonly kick: Fd;
  readonly call: Fd;
}

const DEFAULT_RAM = 1024 * 1024;
const DEFAULT_RING_SIZE = 16;
/** Room for a ring of 1024 entries. */
const RING_STRIDE = 0x8000;
/** Base of a new packed ring: both wrap counters 1. */
const PACKED_RING_START = 0x8000_8000;
const ALL = new FeatureSet(0xffff_ffff, 0xffff_ffff);

/** A front-end over a real socket, with guest RAM. Everything it does waits for its answer by running the loop. */
export class MockFrontend implements Disposable {
  /** GPA of the first byte of RAM: not 0, so that mixing it up with an offset shows. */
  static readonly RAM_GPA = 0x4000_0000;
  /** User address of the first byte of RAM, as the back-end is told; no address of this process. */
  static readonly RAM_USER = 0x7f12_3400_0000;

  readonly frontend: FrontendConnection;
  /** Guest RAM: `ram.u8[0]` is GPA `RAM_GPA`. */
  readonly ram: Mapping;
  readonly #options: MockFrontendOptions;
  readonly #ramFd: Fd;
  readonly #eventfds = new Map<number, Eventfds>();

  constructor(options: MockFrontendOptions) {
    this.#options = options;
    const { sys, loop, socket, handlers, announce, shmemBit, sharedObjects, log } = options;
    const size = options.ramSize ?? DEFAULT_RAM;
    this.#ramFd = new Fd(
      sys.fd,
      check(sys.mem.memfdCreate('mock-ram', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'),
    );
    check(sys.file.ftruncate(this.#ramFd.fd, size), 'ftruncate');
    check(sys.mem.addSeals(this.#ramFd.fd, F_SEAL_SHRINK), 'fcntl');
    this.ram = Mapping.shared(sys.mem, this.#ramFd.fd, size, 0, PROT_READ | PROT_WRITE);
    this.frontend = new FrontendConnection({
      sys,
      loop,
      socket,
      ...(handlers === undefined ? {} : { handlers }),
      ...(announce === undefined ? {} : { announce }),
      ...(shmemBit === undefined ? {} : { shmemBit }),
      ...(sharedObjects === undefined ? {} : { sharedObjects }),
      ...(log === undefined ? {} : { log }),
    });
  }

  /** Negotiates and shares RAM. @throws VhostUserError what the back-end refused */
  connect(): void {
    const { features, protocolFeatures, shmemBit } = this.#options;
    const served = FRONTEND_PROTOCOL_FEATURES.with(shmemBit ?? VHOST_USER_PROTOCOL_F_SHMEM);
    this.frontend.wait((done) =>
      this.frontend.negotiate({ features: features ?? ALL, protocolFeatures: protocolFeatures ?? served }, done),
    );
    this.shareRam();
  }

  /** Puts RAM into the memory table, by slots where they were negotiated. */
  shareRam(): void {
    const region = {
      gpa: MockFrontend.RAM_GPA,
      size: this.ram.len,
      userAddr: MockFrontend.RAM_USER,
      mmapOffset: 0,
      fd: this.#ramFd.fd,
    };
    this.frontend.wait((done) => this.frontend.shareMemory([region], done));
  }

  /** Takes RAM out of the memory table again; needs CONFIGURE_MEM_SLOTS. */
  withdrawRam(): void {
    const region = { gpa: MockFrontend.RAM_GPA, size: this.ram.len, userAddr: MockFrontend.RAM_USER };
    this.frontend.wait((done) => this.frontend.removeMemoryRegion(region, done));
  }

  /**
   * Gives the back-end a display channel (GPU_SET_SOCKET).
   * @returns the front-end's end of it
   * @throws VhostUserError what the back-end refused
   */
  openDisplay(): Fd {
    const { fd, socket } = this.#options.sys;
    const pair = new Int32Array(2);
    check(socket.socketpair(pair), 'socketpair');
    using theirs = new Fd(fd, pair[1]!);
    const ours = new Fd(fd, pair[0]!);
    try {
      this.frontend.wait((done) => this.frontend.setGpuSocket(theirs.fd, done));
      return ours;
    } catch (error) {
      ours.close();
      throw error;
    }
  }

  /** The user address, as the back-end knows it, of a GPA in RAM. */
  userAddress(gpa: number): number {
    return gpa - MockFrontend.RAM_GPA + MockFrontend.RAM_USER;
  }

  /** Starts a ring with eventfds of its own. @throws VhostUserError what the back-end refused */
  startRing(index: number, options: MockRingOptions = {}): MockRing {
    const size = options.size ?? DEFAULT_RING_SIZE;
    const desc = options.desc ?? MockFrontend.RAM_GPA + index * RING_STRIDE;
    const avail = options.avail ?? desc + 16 * size;
    const used = options.used ?? Math.ceil((avail + 6 + 2 * size) / 4) * 4;
    const fds = this.#eventfdsOf(index);
    const ring = { index, size, desc, avail, used, kickFd: fds.kick.fd, callFd: fds.call.fd };
    this.frontend.wait((done) =>
      this.frontend.startRing(
        {
          ...ring,
          desc: this.userAddress(desc),
          avail: this.userAddress(avail),
          used: this.userAddress(used),
          base: options.base ?? (this.frontend.features.has(VIRTIO_F_RING_PACKED) ? PACKED_RING_START : 0),
        },
        done,
      ),
    );
    return ring;
  }

  /** Stops a ring. @returns its base */
  stopRing(index: number): number {
    return this.frontend.wait<number>((done) => this.frontend.stopRing(index, done));
  }

  /** Writes the ring's kick eventfd. */
  kick(index: number): void {
    this.#options.sys.loop.eventfdSignal(this.#eventfdsOf(index).kick.fd);
  }

  /** Takes the calls that came. @returns how many; 0 for none */
  takeCalls(index: number): number {
    return Math.max(this.#options.sys.loop.eventfdDrain(this.#eventfdsOf(index).call.fd), 0);
  }

  /** Runs the loop until `condition` holds. @throws VhostUserError ERR_VU_TIMEOUT after `timeoutMs` */
  runUntil(condition: () => boolean, timeoutMs = 5000): void {
    runUntil(this.#options.loop, this.#options.sys.loop, condition, timeoutMs);
  }

  /** Closes the connection, the eventfds and RAM. */
  [Symbol.dispose](): void {
    this.frontend[Symbol.dispose]();
    for (const { kick, call } of this.#eventfds.values()) {
      kick.close();
      call.close();
    }
    this.#eventfds.clear();
    this.ram[Symbol.dispose]();
    this.#ramFd.close();
  }

  #eventfdsOf(index: number): Eventfds {
    const known = this.#eventfds.get(index);
    if (known !== undefined) {
      return known;
    }
    const { sys } = this.#options;
    const make = () => new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    const fds = { kick: make(), call: make() };
    this.#eventfds.set(index, fds);
    return fds;
  }
}
