/** A guest that outlives its back-ends: RAM and one ring's descriptors on a `ReconnectingFrontend`. */
import {
  BlockingLoop,
  check,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  openSys,
  PROT_READ,
  PROT_WRITE,
} from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  type ReconnectingOptions,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
} from '../../src/index.ts';

export const GPA = 0x4000_0000;
export const USER = 0x7000_0000_0000;
export const RAM = 0x10000;
export const SIZE = 16;
const WISH = {
  features: FeatureSet.of(0, 32, 34),
  protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
};

/** A driver with one ring over RAM of its own, on a front-end whose back-end can be replaced. */
export class Guest implements Disposable {
  readonly sys = openSys();
  readonly loop = new BlockingLoop(this.sys);
  readonly ram: Mapping;
  readonly view: DataView;
  readonly kick: Fd;
  readonly call: Fd;
  readonly #memfd: Fd;

  constructor() {
    const { sys } = this;
    this.#memfd = new Fd(sys.fd, check(sys.mem.memfdCreate('ram', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    check(sys.file.ftruncate(this.#memfd.fd, RAM), 'ftruncate');
    check(sys.mem.addSeals(this.#memfd.fd, F_SEAL_SHRINK), 'fcntl');
    this.ram = Mapping.shared(sys.mem, this.#memfd.fd, RAM, 0, PROT_READ | PROT_WRITE);
    this.view = new DataView(this.ram.u8.buffer, this.ram.u8.byteOffset);
    this.kick = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    this.call = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
  }

  options(connect: () => number): ReconnectingOptions {
    const region = { gpa: GPA, size: RAM, userAddr: USER, mmapOffset: 0, fd: this.#memfd.fd };
    return {
      sys: this.sys,
      loop: this.loop,
      connect,
      want: WISH,
      memory: [region],
      inflight: { queueCount: 1, queueSize: SIZE },
      retryMs: 5,
    };
  }

  /** Ring 0 with these parts, bytes from the start of RAM. */
  ring(parts: { desc: number; avail: number; used: number }, base: () => number) {
    return {
      index: 0,
      size: SIZE,
      desc: USER + parts.desc,
      avail: USER + parts.avail,
      used: USER + parts.used,
      kickFd: this.kick.fd,
      callFd: this.call.fd,
      base,
    };
  }

  [Symbol.dispose](): void {
    this.kick.close();
    this.call.close();
    this.ram[Symbol.dispose]();
    this.#memfd.close();
    this.loop[Symbol.dispose]();
  }
}
