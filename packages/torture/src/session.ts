/** One connection of a front-end that goes as far as a clause wants honestly, and then does as the clause says. */
import { check, errnoName, Fd, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  type FrontendMessageName,
  type MessageSpec,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_NEED_REPLY_MASK,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_VERSION,
  VhostUserU64,
  VIRTIO_F_RING_PACKED,
} from '@oriel/vhost-user';
import { PACKED_RING_START } from '@oriel/virtqueue';
import { connectPatiently } from './connect.ts';
import type { DeviceRequest } from './devices/device.ts';
import { TortureError } from './errors.ts';
import { acceptedFeatures, acceptedProtocol } from './negotiated.ts';
import { featureWords, memTable, u64, vringAddr, vringState } from './payloads.ts';
import { Ram } from './ram.ts';
import { refusalIn } from './refusals.ts';
import { Ring } from './ring.ts';
import { specOf } from './specs.ts';
import type { Waiter } from './waiter.ts';
import { type Answer, frame, Wire } from './wire.ts';

/** The slices of `Sys` that the suite needs. */
export type TortureSys = Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop' | 'file'>;

/** What a session is opened with. */
export interface SessionOptions {
  readonly sys: TortureSys;
  readonly waiter: Waiter;
  /** Connects to the peer. @returns a descriptor, given away, or a negative errno */
  readonly connect: () => number;
  readonly timeoutMs: number;
  /** The ring that requests of the device go to. */
  readonly queue: number;
  /** A request that the device takes well. */
  readonly request: DeviceRequest;
  /** Accept packed rings, where they are offered. */
  readonly packed?: boolean;
}

const EMPTY = new Uint8Array(0);
const RING_SIZE = 16;
const GET_FEATURES = 1;
/** How long a device may take to react to a chain that it need not react to, ms. */
const GRACE_MS = 100;

/** A connection. Honest steps throw a TortureError when they fail; hostile ones only note what the peer does. */
export class Session implements Disposable {
  readonly options: SessionOptions;
  readonly ram: Ram;
  /** How the peer refused: each failing answer, the end of the connection, a broken ring. */
  readonly refusals: string[] = [];
  /** The stream no longer stands between two messages, so nothing can be asked on it. */
  streamBroken = false;
  /** The peer closed, or did not answer. */
  state: 'open' | 'closed' | 'silent' = 'open';
  offered = new FeatureSet();
  offeredProtocol = new FeatureSet();
  protocol = new FeatureSet();
  features = new FeatureSet();
  queueCount = 1;
  negotiated = false;
  readonly #wire: Wire;
  readonly #things: Disposable[] = [];
  readonly #rings = new Map<number, Ring>();

  /** Connects. @throws TortureError ERR_TORTURE_CONNECT */
  constructor(options: SessionOptions) {
    this.options = options;
    const socket = connectPatiently(options);
    if (socket < 0) throw new TortureError('ERR_TORTURE_CONNECT', `connect: ${errnoName(-socket)}`);
    this.#wire = this.keep(new Wire(options.sys, options.waiter, new Fd(options.sys.fd, socket), options.timeoutMs));
    this.ram = this.keep(new Ram(options.sys));
  }

  get sys(): TortureSys {
    return this.options.sys;
  }

  /** The process at the other end; 0 when unknown. */
  get peerPid(): number {
    return this.sys.socket.peerPid(this.#wire.fd);
  }

  /** Keeps a thing until the session ends. */
  keep<T extends Disposable>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  /** An eventfd that lives as long as the session. @returns its descriptor, lent */
  eventfd(): number {
    return this.keep(new Fd(this.sys.fd, check(this.sys.loop.eventfd(0), 'eventfd'))).fd;
  }

  /** A connected pair of sockets that live as long as the session. */
  socketpair(): readonly [Fd, Fd] {
    const pair = new Int32Array(2);
    check(this.sys.socket.socketpair(pair), 'socketpair');
    return [this.keep(new Fd(this.sys.fd, pair[0]!)), this.keep(new Fd(this.sys.fd, pair[1]!))];
  }

  /** SET_OWNER, features and protocol features, as many as are offered and mean no harm. */
  negotiate(): void {
    this.offered = this.#word('GET_FEATURES');
    if (this.offered.has(VHOST_USER_F_PROTOCOL_FEATURES)) {
      this.offeredProtocol = this.#word('GET_PROTOCOL_FEATURES');
      const protocol = acceptedProtocol(this.offeredProtocol);
      // Without a flag for a reply, as QEMU sends it: only some back-ends would give one here.
      this.raw(frame(specOf('SET_PROTOCOL_FEATURES').id, VHOST_USER_VERSION, featureWords(protocol)));
      this.protocol = protocol;
    }
    this.must('SET_OWNER');
    if (this.protocol.has(VHOST_USER_PROTOCOL_F_MQ)) this.queueCount = this.#word('GET_QUEUE_NUM').lo;
    this.features = acceptedFeatures(this.offered, this.options.packed === true);
    this.must('SET_FEATURES', featureWords(this.features));
    this.negotiated = true;
  }

  /** SET_MEM_TABLE with all of `ram`. */
  shareMemory(): void {
    this.must('SET_MEM_TABLE', memTable([this.ram.region]), [this.ram.file.fd]);
  }

  /** A ring that the peer knows nothing of yet; the same one again for the same index. */
  ring(index = this.options.queue, size = RING_SIZE): Ring {
    let ring = this.#rings.get(index);
    if (ring === undefined) {
      ring = this.keep(new Ring(this.sys, this.ram, index, size, this.features.has(VIRTIO_F_RING_PACKED)));
      this.#rings.set(index, ring);
    }
    return ring;
  }

  /** The next rings are new ones. */
  forgetRings(): void {
    this.#rings.clear();
  }

  /** Sets a ring up and starts it. */
  startRing(index = this.options.queue): Ring {
    const ring = this.ring(index);
    this.must('SET_VRING_NUM', vringState(index, ring.size));
    this.must('SET_VRING_BASE', vringState(index, ring.packed ? PACKED_RING_START : 0));
    this.must('SET_VRING_ADDR', vringAddr(index, ring.addresses));
    this.must('SET_VRING_CALL', u64(index), [ring.callFd]);
    this.must('SET_VRING_ERR', u64(index), [ring.errFd]);
    this.must('SET_VRING_KICK', u64(index), [ring.kickFd]);
    if (this.features.has(VHOST_USER_F_PROTOCOL_FEATURES)) this.must('SET_VRING_ENABLE', vringState(index, 1));
    return ring;
  }

  /** An honest message. @throws TortureError when it is refused or not answered; a reply of its own is returned */
  must(name: FrontendMessageName, payload: Uint8Array = EMPTY, fds: readonly number[] = []): Uint8Array {
    const spec = specOf(name);
    const wantsAnswer = spec.reply !== 'ack' || this.protocol.has(VHOST_USER_PROTOCOL_F_REPLY_ACK);
    this.#wire.send(frame(spec.id, this.#flagsOf(spec), payload), fds);
    if (!wantsAnswer) return EMPTY;
    const answer = this.#wire.receive();
    if (answer.kind === 'closed') throw new TortureError('ERR_TORTURE_CLOSED', `closed at ${name}`);
    if (answer.kind === 'silent') throw new TortureError('ERR_TORTURE_SILENT', `no answer to ${name}`);
    for (const fd of answer.fds) fd.close();
    const refusal = answer.id === spec.id ? refusalIn(spec, answer) : `answered with message ${answer.id}`;
    if (refusal !== null) throw new TortureError('ERR_TORTURE_REFUSED', `${name}: ${refusal}`);
    return answer.payload;
  }

  /**
   * A hostile message by name: sent as it stands, and the answer looked at.
   * @param fds - lent
   */
  tell(name: FrontendMessageName, payload: Uint8Array = EMPTY, fds: readonly number[] = []): Answer['kind'] {
    const spec = specOf(name);
    return this.tellFrame(frame(spec.id, this.#flagsOf(spec), payload), fds, spec);
  }

  /** A hostile message as bytes, whole: the stream is in order behind it. */
  tellFrame(bytes: Uint8Array, fds: readonly number[] = [], spec: MessageSpec | null = null): Answer['kind'] {
    this.raw(bytes, fds);
    return this.settle(spec);
  }

  /** Any bytes, without looking at the answer. @returns 'stuck' when the peer does not read in time */
  raw(bytes: Uint8Array, fds: readonly number[] = [], patienceMs?: number): 'sent' | 'closed' | 'stuck' {
    const result = this.#wire.send(bytes, fds, patienceMs);
    if (result === 'closed') this.#closed();
    return result;
  }

  /** Says that nothing more comes. */
  finishSending(): void {
    this.streamBroken = true;
    this.#wire.finishSending();
  }

  /** Waits for the end of the stream. @returns false when the peer keeps it open */
  awaitClose(timeoutMs = this.options.timeoutMs): boolean {
    for (;;) {
      const answer = this.#wire.receive(timeoutMs);
      if (answer.kind === 'message') {
        for (const fd of answer.fds) fd.close();
      } else {
        if (answer.kind === 'closed') this.#closed();
        return answer.kind === 'closed';
      }
    }
  }

  /**
   * Asks for the features, so that all that was sent before has been looked at once they come.
   * @param spec - the message before, whose answer may be a refusal
   */
  settle(spec: MessageSpec | null = null): Answer['kind'] {
    if (this.state !== 'open' || this.streamBroken) return this.state === 'closed' ? 'closed' : 'silent';
    this.raw(frame(GET_FEATURES, VHOST_USER_VERSION, EMPTY));
    let asked = spec?.id === GET_FEATURES ? 2 : 1;
    for (;;) {
      const answer = this.#wire.receive();
      if (answer.kind === 'message') {
        for (const fd of answer.fds) fd.close();
        if (answer.id === GET_FEATURES && --asked === 0) return 'message';
        const refusal = spec !== null && answer.id === spec.id ? refusalIn(spec, answer) : null;
        if (refusal !== null) this.refuse(`${spec!.name}: ${refusal}`);
      } else if (answer.kind === 'silent' && asked === 1 && spec?.id === GET_FEATURES) {
        return 'message';
      } else {
        if (answer.kind === 'closed') this.#closed();
        else this.state = 'silent';
        return answer.kind;
      }
    }
  }

  /** Kicks, and gives the device time to take what is there, to refuse it or to close. */
  provoke(ring: Ring): void {
    ring.kick();
    const end = this.options.waiter.now() + GRACE_MS;
    for (let left = GRACE_MS; left > 0; left = end - this.options.waiter.now()) {
      if (this.awaitDevice(ring, left) === 'over') break;
    }
    this.settle();
  }

  /** Waits for one sign of the device. @returns 'called', or 'over': a broken ring, the end of the connection, or nothing in time */
  awaitDevice(ring: Ring, timeoutMs: number): 'called' | 'over' {
    if (!ring.waitForDevice(this.options.waiter, this.#wire.fd, timeoutMs)) return 'over';
    if (ring.takeErrors()) {
      this.refuse('the device says that the ring is broken');
      return 'over';
    }
    // Else it is the socket, on which nothing is awaited but its end.
    if (ring.takeCalls()) return 'called';
    this.awaitClose(0);
    return 'over';
  }

  /** Notes that the peer refused. */
  refuse(how: string): void {
    if (!this.refusals.includes(how)) this.refusals.push(how);
  }

  /** Notes that an honest step behind the attack was refused. @throws what is no TortureError */
  refuseFor(error: unknown): void {
    if (!(error instanceof TortureError)) throw error;
    this.refuse(error.detail);
  }

  /** Closes the connection and all that belongs to it. */
  [Symbol.dispose](): void {
    for (const thing of this.#things.splice(0).reverse()) thing[Symbol.dispose]();
  }

  #closed(): void {
    this.state = 'closed';
    this.refuse('closed the connection');
  }

  #flagsOf(spec: MessageSpec): number {
    const asks = spec.reply === 'ack' && this.protocol.has(VHOST_USER_PROTOCOL_F_REPLY_ACK);
    return asks ? VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK : VHOST_USER_VERSION;
  }

  #word(name: FrontendMessageName): FeatureSet {
    const payload = this.must(name);
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    if (payload.length !== VhostUserU64.byteLength) {
      throw new TortureError('ERR_TORTURE_REFUSED', `${name}: ${payload.length} bytes`);
    }
    return new FeatureSet(VhostUserU64.value.lo(view, 0), VhostUserU64.value.hi(view, 0));
  }
}
