/** A program that serves a device at a socket, with this test as its front-end and driver. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { sys } from './rig.ts';

const WINDOW = { gpa: 0x2_0000_0000, userAddr: 0x7e00_0000_0000 };
const NODE = [process.execPath, '-C', '@oriel/source', '--disable-warning=ExperimentalWarning'] as const;

/** What a test does with a program. */
export interface Served {
  /** Sends a request and waits for its reply, which the next call reuses. */
  call(build: (request: RequestEncoder) => RequestEncoder, data?: Uint8Array): ReplyDecoder;
  /** The descriptor of the last mapping; the caller owns it. */
  mapped(): Fd;
}

/**
 * Runs `node FILE args SOCKET`, and `use` once it listens; then leaves, and waits for the program's end.
 * @returns how it ended, and what it wrote to stdout
 */
export async function withProgram(
  command: { readonly file: string; readonly args: readonly string[]; readonly socketPath: string },
  use: (served: Served) => void,
): Promise<{ readonly exit: unknown[]; readonly text: string }> {
  const [node, ...options] = NODE;
  const child = spawn(node, [...options, command.file, ...command.args, command.socketPath], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const said: string[] = [];
  child.stdout.on('data', (data) => said.push(String(data)));
  await Promise.race([once(child.stdout, 'data'), ended]);
  {
    using _leaks = leakCheck();
    using loop = new BlockingLoop(sys);
    let mapped: Fd | null = null;
    using mock = new MockFrontend({
      sys,
      loop,
      socket: new Fd(sys.fd, check(sys.socket.connectUnix(command.socketPath), 'connect')),
      ramSize: 1 << 20,
      announce: () => WINDOW,
      handlers: {
        shmemMap: (_request, fd) => {
          mapped?.close();
          mapped = fd;
          return 0;
        },
        shmemUnmap: () => 0,
      },
    });
    mock.connect();
    const memory = { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA };
    const place = { memory, gpa: memory.gpa, len: 1 << 20, size: 16, eventIdx: true };
    const driver = new MockDriver({ ...place, kick: () => mock.kick(1) });
    const { callFd } = mock.startRing(1, driver);
    using _called = loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
    const request = new RequestEncoder();
    use({
      call: (build, data) => {
        const { bytes, len, room } = build(request);
        driver.send([bytes.slice(0, len), ...(data === undefined ? [] : [data])], [room]);
        let reply = driver.take();
        mock.runUntil(() => (reply ??= driver.take()) !== null);
        return new ReplyDecoder().take(request, reply!.bytes, reply!.written);
      },
      mapped: () => {
        const fd = mapped!;
        mapped = null;
        return fd;
      },
    });
  }
  return { exit: await ended, text: said.join('') };
}
