/** A front-end that says anything, in any order, and a driver behind it that does the same. */
import { FUSE_ROOT_ID, FUSE_SETUPMAPPING_FLAG_READ } from '@oriel/fuse';
import { RequestEncoder } from '@oriel/fuse/client';
import { check, Fd, S_IFREG } from '@oriel/sys';
import { must } from '../errors.ts';
import { encodeRequest } from '../fuse/requests.ts';
import { FuseWorld } from '../fuse/world.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import { FD_KINDS, makeFd } from './fd-kinds.ts';
import type { FsServer } from './fs-server.ts';
import { HostileGuest } from './hostile-guest.ts';
import { type MessageFd, Messages, type SomeMessage } from './messages.ts';
import { encode, u64s, Wire, type WireMessage } from './wire.ts';

const MOST_STEPS = 80;
const MOST_PAYLOAD = 4096;
const RANGE = 2 << 20;
const FLAG_VERSION = 1;
const FLAG_NEED_REPLY = 8;
const REPLY_FLAGS = 5;
const INTERESTING = [0, 1, 2, 31, 32, 255, 256, 4096, 0xffff, 0x8000_0000, 0xffff_ffff];
const IDS_ON_BACK = [9, 9, 9, 10, 10, 2, 77];

const STEP = {
  apt: 16,
  broken: 7,
  request: 12,
  mapping: 8,
  scribble: 5,
  kick: 6,
  answer: 12,
  turn: 12,
  bytes: 1,
} as const;

/** One connection, from dialling to the end. */
export class HostileFrontEnd implements Disposable {
  readonly #server: FsServer;
  readonly #random: Xorshift;
  readonly #tally: Tally;
  readonly #stack = new DisposableStack();
  readonly #guest: HostileGuest;
  readonly #messages: Messages;
  readonly #socket: Fd;
  readonly #wire: Wire;
  /** Our ends of back channels that were handed over, the newest last. */
  readonly #backs: Wire[] = [];
  /** Numbers of the messages sent. */
  readonly #sentIds = new Set<number>();
  /** Every message so far was as long as its header said. */
  #inStep = true;
  readonly #world: FuseWorld;
  readonly #encoder = new RequestEncoder();

  constructor(server: FsServer, random: Xorshift, tally: Tally) {
    this.#server = server;
    this.#random = random;
    this.#tally = tally;
    this.#guest = this.#stack.use(new HostileGuest(server.sys));
    this.#messages = new Messages(this.#guest, server.profile.shmemBit);
    this.#socket = this.#stack.use(server.dial());
    this.#wire = new Wire(server.sys, this.#socket);
    this.#world = new FuseWorld(random);
  }

  /** Talks until it has had enough, or is shown the door. */
  run(): void {
    const random = this.#random;
    if (!random.once(5)) this.#startUp(random.once(2));
    for (let steps = random.below(MOST_STEPS); steps > 0 && !this.#wire.over; steps--) this.#step();
    this.#server.settle();
    this.#drain();
    if (this.#wire.over) this.#tally.saw('thrown out');
    if (random.once(4)) this.#server.sys.socket.shutdown(this.#socket.fd, random.below(3));
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }

  #startUp(slots: boolean): void {
    const stopAt = this.#random.once(3) ? this.#random.below(20) : Number.POSITIVE_INFINITY;
    let sent = 0;
    for (const message of this.#messages.startUp(slots)) {
      if (sent++ >= stopAt) return;
      this.#send(message, FLAG_VERSION, null);
    }
    this.#server.settle();
    this.#drain();
    this.#tally.saw(this.#wire.over ? 'refused' : 'started');
    this.#submit(this.#encoder.init(), undefined);
    this.#submit(this.#encoder.lookup(FUSE_ROOT_ID, 'a'), undefined);
    this.#reap();
  }

  #step(): void {
    const random = this.#random;
    const step = random.weighted(STEP);
    this.#tally.did(step);
    switch (step) {
      case 'apt':
        this.#send(this.#messages.any(random), FLAG_VERSION | (random.once(8) ? 0 : FLAG_NEED_REPLY), null);
        break;
      case 'broken':
        this.#send(this.#messages.any(random), FLAG_VERSION | FLAG_NEED_REPLY, random);
        break;
      case 'request': {
        const { data } = encodeRequest(this.#encoder, this.#world, random);
        this.#submit(this.#encoder, data);
        break;
      }
      case 'mapping': {
        const moffset = RANGE * random.below(5);
        const nodeid = this.#world.fileNode();
        if (random.once(3)) this.#submit(this.#encoder.removemapping(nodeid, [moffset, RANGE]), undefined);
        else
          this.#submit(
            this.#encoder.setupmapping(nodeid, RANGE * random.below(3), RANGE, FUSE_SETUPMAPPING_FLAG_READ, moffset),
            undefined,
          );
        if (random.once(2)) this.#answer();
        break;
      }
      case 'scribble':
        this.#guest.scribble(random);
        break;
      case 'kick':
        this.#guest.kick(random.below(2));
        break;
      case 'answer':
        this.#answer();
        break;
      case 'turn':
        this.#server.settle();
        this.#drain();
        break;
      case 'bytes':
        this.#inStep = false;
        this.#wire.send(random.fill(new Uint8Array(random.from(1, 40))), []);
        break;
    }
  }

  #submit(request: RequestEncoder, data: Uint8Array | undefined): void {
    const index = this.#random.once(20) ? 0 : 1;
    if (this.#guest.submit(index, request, data)) this.#tally.saw('submitted');
    if (this.#random.once(3)) this.#reap();
  }

  #reap(): void {
    this.#server.settle();
    const returned = this.#guest.reap((nodeid) => this.#world.lookedUp(nodeid, S_IFREG));
    this.#tally.saw('returned', returned);
  }

  /** @param breaking - where to take mistakes from; null: as it is */
  #send(message: SomeMessage, flags: number, breaking: Xorshift | null): void {
    using made = new DisposableStack();
    const wanted = breaking === null ? message.fds : brokenFds(message.fds, breaking);
    const fds = wanted.map((fd) => this.#descriptor(fd, message.name === 'SET_BACKEND_REQ_FD', made));
    const payload = breaking === null ? message.payload : brokenPayload(message.payload, breaking);
    const wire: WireMessage = {
      id: breaking?.once(20) ? breaking.u32() & 63 : message.id,
      flags: breaking?.once(15) ? breaking.pick([0, 2, 3, 5, 9, 13, 17, breaking.u32()]) : flags,
      payload,
      fds,
      ...(breaking?.once(20) ? { size: breaking.pick([...INTERESTING, payload.length + 1, 4097]) } : {}),
    };
    const bytes = encode(wire);
    this.#sentIds.add(wire.id);
    this.#inStep &&= wire.size === undefined;
    if (breaking?.once(12)) {
      // In two parts, with descriptors on the second.
      const cut = breaking.from(1, bytes.length);
      this.#push(bytes.subarray(0, cut), []);
      this.#push(bytes.subarray(cut), cut < bytes.length ? fds : []);
    } else if (breaking?.once(40)) {
      this.#inStep = false;
      this.#push(bytes.subarray(0, breaking.below(bytes.length)), fds);
    } else {
      this.#push(bytes, fds);
    }
    if (this.#random.once(2)) this.#drain();
  }

  #push(bytes: Uint8Array, fds: readonly number[]): void {
    if (bytes.length === 0) return;
    while (!this.#wire.send(bytes, fds)) {
      this.#server.settle();
      this.#drain();
    }
  }

  #descriptor(fd: MessageFd, isBack: boolean, made: DisposableStack): number {
    const { sys } = this.#server;
    if (typeof fd === 'object') return fd.lent;
    if (fd === 'socket' && isBack) {
      const pair = new Int32Array(2);
      check(sys.socket.socketpair(pair), 'socketpair');
      this.#backs.push(new Wire(sys, this.#stack.use(new Fd(sys.fd, pair[1]!))));
      return made.use(new Fd(sys.fd, pair[0]!)).fd;
    }
    return made.use(makeFd(sys, fd, (other) => this.#stack.use(other))).fd;
  }

  /** Takes replies; each is one. */
  #drain(): void {
    this.#server.settle();
    for (let reply = this.#wire.receive(); reply !== null; reply = this.#wire.receive()) {
      must(reply.flags === REPLY_FLAGS, `a reply with flags ${reply.flags}`);
      must(reply.payload.length <= MOST_PAYLOAD, `a reply of ${reply.payload.length} bytes`);
      must(!this.#inStep || this.#sentIds.has(reply.id), `a reply to ${reply.id}, which was not sent`);
      must(reply.fdCount === 0, 'a descriptor that nobody asked for');
      this.#tally.saw('reply');
    }
  }

  /** Takes a request of the back channel and answers it: well, badly, twice or with garbage. */
  #answer(): void {
    const random = this.#random;
    const back = this.#backs.at(-1);
    if (back === undefined) return;
    this.#server.settle();
    const request = back.receive();
    if (request === null && !random.once(10)) return;
    if (request !== null) this.#tally.saw(`back request ${request.id}`);
    const id = request !== null && !random.once(10) ? request.id : random.pick(IDS_ON_BACK);
    const flags = random.once(10) ? random.pick([1, 4, 13, 21]) : REPLY_FLAGS;
    const payload = random.once(10)
      ? random.fill(new Uint8Array(random.below(20)))
      : u64s(random.once(4) ? random.pick([1, 22, 2 ** 52]) : 0);
    const bytes = encode({ id, flags, payload, fds: [] });
    for (let times = random.once(15) ? 2 : 1; times > 0; times--) back.send(bytes, []);
    this.#server.settle();
  }
}

function brokenFds(fds: readonly MessageFd[], random: Xorshift): readonly MessageFd[] {
  switch (random.below(16)) {
    case 0:
      return Array.from({ length: random.below(4) }, () => random.pick(FD_KINDS));
    case 1:
      return fds.map(() => random.pick(FD_KINDS));
    case 2:
      return Array.from({ length: random.pick([8, 9, 33]) }, () => 'event' as const);
    default:
      return fds;
  }
}

function brokenPayload(payload: Uint8Array, random: Xorshift): Uint8Array {
  const size = random.once(12)
    ? random.pick([0, 1, payload.length - 1, payload.length + 1, 64, MOST_PAYLOAD])
    : payload.length;
  const bytes = new Uint8Array(Math.max(size, 0));
  bytes.set(payload.subarray(0, bytes.length));
  for (let times = random.from(1, 2); times > 0 && bytes.length >= 4; times--) {
    const at = 4 * random.below(bytes.length >> 2);
    const old = new DataView(bytes.buffer).getUint32(at, true);
    const value = random.pick([...INTERESTING, old + 1, old - 1, old ^ 0x1000, random.u32()]);
    new DataView(bytes.buffer).setUint32(at, value, true);
  }
  return bytes;
}
