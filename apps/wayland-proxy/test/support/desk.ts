/** A proxy session between a fake client and a fake host, on a loop that the test turns. */
import { BlockingLoop, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, openSys, silentLogger } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { Session } from '../../src/proxy/session.ts';
import { FakeClient } from './fake-client.ts';
import { FakeHost } from './fake-host.ts';

const sys = openSys();

export interface Desk {
  readonly client: FakeClient;
  readonly host: FakeHost;
  readonly loop: BlockingLoop;
  /** The proxy has ended the session by itself. */
  readonly closed: () => boolean;
  /** Turns the loop until nothing moves any more. */
  settle(): void;
  /** Binds a global as the client does: announced, then bound. */
  bind(interfaceName: string, version: number, id: number): void;
}

/** Runs a test with a session; everything must be closed afterwards. */
export function withDesk(test: (desk: Desk) => void): () => void {
  return () => {
    using _leaks = leakCheck();
    using loop = new BlockingLoop(sys);
    const desk = openDesk(loop);
    using _client = desk.client;
    using _session = desk.session;
    test(desk);
  };
}

const REGISTRY = 2;

export function openDesk(loop: BlockingLoop): Desk & { readonly session: Session } {
  const ends = new Int32Array(2);
  sys.socket.socketpair(ends);
  const client = new FakeClient(new Fd(sys.fd, ends[0]!));
  let host!: FakeHost;
  let closed = false;
  const session = new Session(
    {
      sys,
      loop,
      log: silentLogger,
      openChannel: (handler) => (host = new FakeHost(loop, handler)),
      onClosed: () => (closed = true),
    },
    new Fd(sys.fd, ends[1]!),
  );
  session.start();
  const settle = () => {
    while (loop.runOnce(0) > 0);
    client.read();
  };
  let globals = 0;
  const bind = (interfaceName: string, version: number, id: number) => {
    if (globals === 0) client.request(1, 'wl_display', 'get_registry', [REGISTRY]);
    settle();
    const name = ++globals;
    host.event(REGISTRY, 'wl_registry', 'global', [name, interfaceName, version]);
    settle();
    client.request(REGISTRY, 'wl_registry', 'bind', [name, interfaceName, version, id]);
    settle();
    host.requests();
  };
  return { client, host, loop, session, closed: () => closed, settle, bind };
}

/** A file in memory as a client's toolkit makes one. */
export function memoryFile(content: Uint8Array | number): Fd {
  const fd = new Fd(sys.fd, sys.mem.memfdCreate('client', MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (typeof content === 'number') sys.file.ftruncate(fd.fd, content);
  else sys.fd.pwrite(fd.fd, content, content.length, 0);
  return fd;
}

/** `len` bytes of a file from an offset. */
export function bytesOf(fd: Fd, len: number, offset = 0): Uint8Array {
  const bytes = new Uint8Array(len);
  const got = sys.fd.pread(fd.fd, bytes, len, offset);
  return bytes.subarray(0, Math.max(0, got));
}
