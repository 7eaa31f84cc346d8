/** A connection with everything, to be frozen. */
import type { Fd } from '@oriel/sys';
import { BackendConnection, FeatureSet, type FrozenConnection, profiles } from '../../src/index.ts';
import { memfd, PROTOCOL_FEATURES, prelude, SentFds, USER, u32s, u64s, vringAddr } from './prelude.ts';
import { RawPeer } from './raw-peer.ts';
import { RecordingHandler } from './recording-handler.ts';
import { collectLog, RawSetup, socketPair } from './setup.ts';

const KICK = 12;
const CALL = 13;
const ERR = 14;
const ENABLE = 18;
const ACCEPTED = PROTOCOL_FEATURES | (1 << 12) | 2;
const LOG_ALL = 0x400_0000;

/** Bears all that a connection can have. */
export class KeepingHandler extends RecordingHandler {
  override features = FeatureSet.of(0, 29, 32);
  readonly inflight = true;
  readonly dirtyLog = true;

  needsMemory(file: { readonly ino: number }): boolean {
    return !this.unneeded.has(file.ino);
  }

  readonly unneeded = new Set<number>();
}

/** A connection with everything: two rings of which one runs, memory, in-flight memory, a log, a back channel. */
export class FullSetup extends RawSetup {
  readonly keeping: KeepingHandler;
  readonly events: SentFds;
  readonly inflight: Fd;
  readonly log: Fd;
  readonly back: RawPeer;
  readonly #back: Fd;

  constructor() {
    const handler = new KeepingHandler();
    super({ handler });
    this.keeping = handler;
    prelude(this);
    this.peer.send(16, 1, u64s(ACCEPTED));
    this.inflight = memfd(this.sys, 0x1000);
    this.peer.send(32, 1, new Uint8Array([...u64s(0x1000, 0), ...u32s(2 | (16 << 16), 0)]), [this.inflight.fd]);
    this.log = memfd(this.sys, 0x9000);
    this.peer.ask(6, u64s(0x9000, 0), [this.log.fd]);
    this.peer.send(2, 1, u64s(0x1_6000_0001 + LOG_ALL));
    this.events = new SentFds(this.sys, ['event', 'event', 'event', 'event']);
    const [kick, call, err, call1] = this.events.numbers as [number, number, number, number];
    this.peer.send(CALL, 1, u64s(0), [call]);
    this.peer.send(CALL, 1, u64s(1), [call1]);
    this.peer.send(ERR, 1, u64s(0), [err]);
    this.peer.send(9, 1, vringAddr(0, USER, USER + 0x200, USER + 0x100, 1));
    this.peer.send(KICK, 1, u64s(0), [kick]);
    this.peer.send(ENABLE, 1, u32s(0, 1));
    const [ours, theirs] = socketPair(this.sys);
    this.peer.send(21, 1, [], [theirs.fd]);
    this.settle();
    theirs.close();
    this.#back = ours;
    this.back = new RawPeer(this.sys, ours, () => this.settle());
    this.peer.ask(39, u64s(0xf));
    handler.bases.set(0, 9);
    handler.take();
    this.lines.length = 0;
  }

  /** What takes over. */
  thaw(frozen: FrozenConnection, handler = new KeepingHandler()): BackendConnection {
    const { sys, loop, lines } = this;
    const { log } = collectLog();
    const telling = {
      ...log,
      warn: (text: string, fields?: unknown) => lines.push(`${text} ${JSON.stringify(fields)}`),
    };
    return BackendConnection.thaw({ sys, loop, profile: profiles.qemu, handler, log: telling }, frozen);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.events[Symbol.dispose]();
    this.inflight.close();
    this.log.close();
    this.#back.close();
  }
}
