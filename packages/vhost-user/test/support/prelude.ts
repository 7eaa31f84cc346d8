/** Descriptors to send, and a back-end brought to a known state by raw bytes. */
import { check, F_SEAL_SHRINK, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, type Sys } from '@oriel/sys';
import type { RawSetup } from './setup.ts';

export type FdKind = 'memory' | 'event' | 'socket';

/** A sealed memfd of `size` bytes. */
export function memfd(sys: Sys, size: number): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('test', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.file.ftruncate(fd.fd, size), 'ftruncate');
  check(sys.mem.addSeals(fd.fd, F_SEAL_SHRINK), 'fcntl');
  return fd;
}

/** Descriptors of the wanted kinds; disposing closes them. */
export class SentFds implements Disposable {
  readonly fds: Fd[] = [];

  constructor(sys: Sys, kinds: readonly FdKind[]) {
    for (const kind of kinds) {
      if (kind === 'memory') {
        this.fds.push(memfd(sys, 0x30000));
      } else if (kind === 'event') {
        this.fds.push(new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd')));
      } else {
        const pair = new Int32Array(2);
        check(sys.socket.socketpair(pair), 'socketpair');
        this.fds.push(new Fd(sys.fd, pair[0]!));
        sys.fd.close(pair[1]!);
      }
    }
  }

  get numbers(): number[] {
    return this.fds.map((fd) => fd.fd);
  }

  [Symbol.dispose](): void {
    for (const fd of this.fds) {
      fd.close();
    }
  }
}

export function u32s(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export function u64s(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
}

export const USER = 0x7000_0000_0000;
export const GPA = 0x4000_0000;
export const RAM_SIZE = 0x10000;

/** Protocol features that RecordingHandler's back-end offers: 0 3 5 9 10 13 15 16 22. */
export const PROTOCOL_FEATURES = 0x41a629;

/** SET_PROTOCOL_FEATURES and SET_FEATURES of all that is offered. */
export function negotiateRaw({ peer }: RawSetup): void {
  peer.send(16, 1, u64s(PROTOCOL_FEATURES));
  peer.send(2, 1, u64s(0x1_6000_0001));
}

/** One region of 64 KiB at GPA, user address USER. */
export function shareRaw({ peer, sys }: RawSetup): void {
  using ram = memfd(sys, RAM_SIZE);
  peer.send(5, 1, new Uint8Array([...u32s(1, 0), ...u64s(GPA, RAM_SIZE, USER, 0)]), [ram.fd]);
}

export function vringAddr(
  index: number,
  desc: number | bigint,
  used: number | bigint,
  avail: number | bigint,
  flags = 0,
) {
  return new Uint8Array([...u32s(index, flags), ...u64s(desc, used, avail, 0)]);
}

/** Ring 0 with 16 entries, base 5, not yet kicked. */
export function configureRaw({ peer }: RawSetup, index = 0): void {
  const at = USER + index * 0x1000;
  peer.send(8, 1, u32s(index, 16));
  peer.send(10, 1, u32s(index, 5));
  peer.send(9, 1, vringAddr(index, at, at + 0x200, at + 0x100));
}

/** Kick and ENABLE 1. */
export function startRaw({ peer, sys }: RawSetup, index = 0): void {
  using kick = new SentFds(sys, ['event']);
  peer.send(12, 1, u64s(index), kick.numbers);
  peer.send(18, 1, u32s(index, 1));
}

/** Negotiated, memory shared, ring 0 configured but not started. */
export function prelude(setup: RawSetup): void {
  negotiateRaw(setup);
  shareRaw(setup);
  configureRaw(setup);
  setup.settle();
  setup.handler.take();
}

/** As `prelude`, with ring 0 running. */
export function runningPrelude(setup: RawSetup): void {
  prelude(setup);
  startRaw(setup);
  setup.settle();
  setup.handler.take();
}
