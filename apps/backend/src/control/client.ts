/** The other side of the control socket: `oriel ctl`. */
import { connect } from 'node:net';
import { ControlError, type ControlRequest } from '../device-module.ts';
import { LineSplitter } from './lines.ts';
import type { ControlReply } from './protocol.ts';

/** A picture of 16384 x 16384 that does not compress. */
const MAX_REPLY_BYTES = 2 ** 31;

function parseReply(line: string): ControlReply {
  try {
    return JSON.parse(line) as ControlReply;
  } catch {
    throw new ControlError('what answered is no oriel');
  }
}

/** Sends one request. @throws ControlError that says why there is no answer, or what was wrong */
export async function askControl(socketPath: string, request: ControlRequest): Promise<readonly object[]> {
  const socket = connect(socketPath);
  const lines = new LineSplitter(MAX_REPLY_BYTES);
  socket.end(`${JSON.stringify(request)}\n`);
  try {
    for await (const chunk of socket) {
      const [line] = lines.push(chunk as Buffer);
      if (line !== undefined) {
        const reply = parseReply(line);
        if (reply.ok) {
          return reply.entries;
        }
        throw new ControlError(reply.error);
      }
    }
  } catch (error) {
    if (error instanceof ControlError) {
      throw error;
    }
    throw new ControlError(`no answer at ${socketPath}`, { cause: error });
  } finally {
    socket.destroy();
  }
  throw new ControlError(`${socketPath} ended without an answer`);
}
