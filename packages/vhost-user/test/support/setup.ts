/** A back-end and what stands at its other end, over a real socketpair on one blocking loop. */
import { BlockingLoop, check, Fd, type Logger, openSys, type Sys } from '@oriel/sys';
import { BackendConnection, type FrontendProfile, profiles } from '../../src/index.ts';
import { MockFrontend, type MockFrontendOptions } from '../../src/testing/index.ts';
import { RawPeer } from './raw-peer.ts';
import { RecordingHandler } from './recording-handler.ts';

export interface SetupOptions {
  readonly profile?: FrontendProfile;
  readonly handler?: RecordingHandler;
  readonly sys?: Sys;
  readonly log?: Logger;
}

/** Lines of a log: 'warn: text {"field":"value"}'. */
export function collectLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const write = (level: string) => (message: string, fields?: Record<string, unknown>) => {
    lines.push(`${level}: ${message} ${JSON.stringify(fields ?? {})}`);
  };
  const log = {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    trace: write('trace'),
  };
  return { log, lines };
}

export function socketPair(sys: Sys): [Fd, Fd] {
  const pair = new Int32Array(2);
  check(sys.socket.socketpair(pair), 'socketpair');
  return [new Fd(sys.fd, pair[0]!), new Fd(sys.fd, pair[1]!)];
}

/** The back-end under test with its loop. */
export class BackendSetup implements Disposable {
  readonly sys: Sys;
  readonly loop: BlockingLoop;
  readonly handler: RecordingHandler;
  readonly backend: BackendConnection;
  readonly socket: Fd;
  readonly lines: string[];

  constructor(options: SetupOptions = {}) {
    this.sys = options.sys ?? openSys();
    this.loop = new BlockingLoop(this.sys);
    this.handler = options.handler ?? new RecordingHandler();
    const [ours, theirs] = socketPair(this.sys);
    const { log, lines } = collectLog();
    this.lines = lines;
    this.socket = theirs;
    this.backend = new BackendConnection({
      sys: this.sys,
      loop: this.loop,
      socket: ours,
      profile: options.profile ?? profiles.qemu,
      handler: this.handler,
      log: options.log ?? log,
    });
  }

  /** Lets the loop do what is at hand. */
  settle(): void {
    while (this.loop.runOnce(0) > 0);
  }

  [Symbol.dispose](): void {
    this.backend[Symbol.dispose]();
    this.socket.close();
    this.handler.gpuSocket?.close();
    this.settle();
    this.loop[Symbol.dispose]();
  }
}

/** A back-end with bytes at its other end. */
export class RawSetup extends BackendSetup {
  readonly peer: RawPeer;

  constructor(options: SetupOptions = {}) {
    super(options);
    this.peer = new RawPeer(this.sys, this.socket, () => this.settle());
  }
}

/** A back-end with a mock front-end at its other end. */
export class MockSetup extends BackendSetup {
  readonly mock: MockFrontend;

  constructor(options: SetupOptions = {}, mock: Partial<MockFrontendOptions> = {}) {
    super(options);
    this.mock = new MockFrontend({
      sys: this.sys,
      loop: this.loop,
      socket: new Fd(this.sys.fd, this.socket.take()),
      ...mock,
    });
  }

  override [Symbol.dispose](): void {
    this.mock[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}
