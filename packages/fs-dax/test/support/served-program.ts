/** A program that serves a share at a socket, with this test as its front-end and driver. */
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import type { Fd } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { ConnectedMachine, ServedProgram } from '@oriel/virtio-device/testing';
import { sys } from './rig.ts';

/** The queue of requests. */
const REQUESTS = 1;

/** What a test does with a program. */
export interface Served {
  /** Sends a request and waits for its reply, which the next call reuses. */
  call(build: (request: RequestEncoder) => RequestEncoder, data?: Uint8Array): ReplyDecoder;
  /** The descriptor of what stands at the start of the window; lent. */
  mapped(): Fd;
}

/**
 * Runs `node FILE args SOCKET`, and `use` once it listens; then leaves, and waits for the program's end.
 * @returns how it ended, and what it wrote
 */
export async function withProgram(
  command: { readonly file: string; readonly args: readonly string[]; readonly socketPath: string },
  use: (served: Served) => void,
): Promise<{ readonly exit: unknown[]; readonly text: string }> {
  const { file, args, socketPath } = command;
  await using program = await ServedProgram.start(file, ...args, socketPath);
  {
    using _leaks = leakCheck();
    using machine = new ConnectedMachine({ sys, socketPath });
    const driver = machine.start(REQUESTS);
    const request = new RequestEncoder();
    use({
      call: (build, data) => {
        const { bytes, len, room } = build(request);
        const reply = machine.ask(driver, [bytes.slice(0, len), ...(data === undefined ? [] : [data])], [room]);
        return new ReplyDecoder().take(request, reply.bytes, reply.written);
      },
      mapped: () => machine.window.get(0)!.fd,
    });
  }
  return { exit: await program.ended, text: program.text };
}
