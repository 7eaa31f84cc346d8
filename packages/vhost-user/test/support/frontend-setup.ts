/** A front-end connection with bytes at its other end. */
import { BlockingLoop, Fd, openSys, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  FrontendConnection,
  type FrontendHandlers,
  type SharedObjects,
  type WindowPlacement,
} from '../../src/index.ts';
import { u32s, u64s } from './prelude.ts';
import { RawPeer } from './raw-peer.ts';
import { collectLog, socketPair } from './setup.ts';

export interface FrontendSetupOptions {
  readonly handlers?: FrontendHandlers;
  readonly announce?: (shmid: number) => WindowPlacement | null;
  readonly sharedObjects?: SharedObjects;
  readonly sys?: Sys;
  /** Shared with other set-ups; their owner disposes it. */
  readonly loop?: BlockingLoop;
}

const ALL = new FeatureSet(0xffff_ffff, 0xffff_ffff);

export class FrontendSetup implements Disposable {
  readonly sys: Sys;
  readonly loop: BlockingLoop;
  readonly frontend: FrontendConnection;
  readonly peer: RawPeer;
  /** The back-end's end of the back channel, once negotiated. */
  back: RawPeer | null = null;
  readonly lines: string[];
  readonly #sockets: Fd[] = [];
  readonly #ownsLoop: boolean;

  constructor(options: FrontendSetupOptions = {}) {
    this.sys = options.sys ?? openSys();
    this.loop = options.loop ?? new BlockingLoop(this.sys);
    this.#ownsLoop = options.loop === undefined;
    const [ours, theirs] = socketPair(this.sys);
    this.#sockets.push(theirs);
    this.peer = new RawPeer(this.sys, theirs, () => this.settle());
    const { log, lines } = collectLog();
    this.lines = lines;
    this.frontend = new FrontendConnection({
      sys: this.sys,
      loop: this.loop,
      socket: ours,
      log,
      ...(options.handlers === undefined ? {} : { handlers: options.handlers }),
      ...(options.announce === undefined ? {} : { announce: options.announce }),
      ...(options.sharedObjects === undefined ? {} : { sharedObjects: options.sharedObjects }),
    });
  }

  settle(): void {
    while (this.loop.runOnce(0) > 0);
  }

  /** Answers the one request that is there. @returns its name's number */
  reply(payload: Uint8Array, fds: number[] = []): number {
    const request = this.peer.receive();
    for (const fd of request.fds) {
      this.#sockets.push(new Fd(this.sys.fd, fd));
    }
    this.peer.send(request.id, 5, payload, fds);
    this.settle();
    return request.id;
  }

  /** Plays the back-end's side of the negotiation, with these protocol and device features. */
  negotiate(protocolFeatures: number, shmSizes: readonly number[] = [0x10000], features = 0x1_4000_0001): void {
    let outcome: Error | null | undefined;
    this.frontend.negotiate({ features: ALL, protocolFeatures: ALL }, (error) => {
      outcome = error;
    });
    const has = (bit: number) => (protocolFeatures & (1 << bit)) !== 0;
    const shmConfig = new Uint8Array([...u32s(shmSizes.length, 0), ...u64s(...shmSizes)]);
    while (outcome === undefined) {
      const request = this.peer.receive();
      const wantsAck = (request.flags & 8) !== 0;
      if (request.id === 21) {
        const socket = new Fd(this.sys.fd, request.fds[0]!);
        this.#sockets.push(socket);
        this.back = new RawPeer(this.sys, socket, () => this.settle());
      }
      const answers: Record<number, Uint8Array> = {
        1: u64s(features),
        15: u64s(protocolFeatures),
        17: u64s(4),
        44: shmConfig,
      };
      const answer = answers[request.id] ?? (wantsAck ? u64s(0) : null);
      if (answer !== null) {
        this.peer.send(request.id, 5, answer);
      } else if (!has(3)) {
        this.settle();
      }
      this.settle();
    }
    if (outcome !== null) {
      throw outcome;
    }
  }

  [Symbol.dispose](): void {
    this.frontend[Symbol.dispose]();
    for (const socket of this.#sockets) {
      socket.close();
    }
    this.settle();
    if (this.#ownsLoop) {
      this.loop[Symbol.dispose]();
    }
  }
}
