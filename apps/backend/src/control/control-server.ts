/** The control socket of a running program, in the main thread. */
import { createServer, type Server, type Socket } from 'node:net';
import { errnoName, type Logger, type Sys } from '@oriel/sys';
import { ControlError, type ControlRequest } from '../device-module.ts';
import { explain } from '../explain.ts';
import { SocketFile } from '../socket-file.ts';
import { LineSplitter } from './lines.ts';
import { type ControlReply, MAX_REQUEST_BYTES } from './protocol.ts';

const OWNER_ONLY = 0o600;
const BACKLOG = 16;
const MAX_CLIENTS = 16;

/** What stands behind the socket. */
export interface ControlServerOptions {
  readonly sys: Pick<Sys, 'socket'>;
  readonly log: Logger;
  /** Carries out a request, whoever wrote it. @throws ControlError */
  readonly answer: (request: ControlRequest) => Promise<readonly object[]>;
}

/** From a line to a request. @throws ControlError */
function parseRequest(line: string): ControlRequest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new ControlError('a request is one line of JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || typeof (parsed as ControlRequest).command !== 'string') {
    throw new ControlError("a request is an object with a 'command'");
  }
  return parsed as ControlRequest;
}

/** Serves several clients, each one request after the other. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #file: SocketFile;
  readonly #clients = new Set<Socket>();
  readonly #replies = new Set<Promise<void>>();

  private constructor(fd: number, path: string, options: ControlServerOptions) {
    this.#options = options;
    this.#file = new SocketFile(path);
    // A client that has said all (a shell's pipe) still wants its replies.
    this.#server = createServer({ allowHalfOpen: true }, (client) => void this.#serve(client));
    this.#server.maxConnections = MAX_CLIENTS;
    this.#server.on('error', (error) => options.log.warn(`control socket: ${error.message}`));
    this.#server.listen({ fd });
  }

  /**
   * Listens at a path, for this user alone (mode 0600). A socket file that nobody serves is replaced.
   * @throws ControlError
   */
  static listen(path: string, options: ControlServerOptions): ControlServer {
    const fd = options.sys.socket.listenUnix(path, OWNER_ONLY, -1, BACKLOG);
    if (fd < 0) {
      throw new ControlError(`cannot listen at --control-socket ${path}: ${errnoName(-fd)}`);
    }
    return new ControlServer(fd, path, options);
  }

  /** Resolves when what was asked so far is answered. Requests to devices that have ended are, at once. */
  async answered(): Promise<void> {
    await Promise.allSettled(this.#replies);
  }

  /** Lets the clients go and removes the socket file. */
  close(): void {
    this.#file.remove();
    this.#server.close();
    for (const client of this.#clients) {
      client.destroy();
    }
  }

  /** Reads no further request before the last one's reply is out. */
  async #serve(client: Socket): Promise<void> {
    this.#clients.add(client);
    const lines = new LineSplitter(MAX_REQUEST_BYTES);
    try {
      for await (const chunk of client) {
        for (const line of lines.push(chunk as Buffer)) {
          await this.#answer(client, line);
        }
      }
      await this.#answer(client, lines.rest());
      client.end();
    } catch (error) {
      this.#options.log.debug(`a control client is let go: ${explain(error)}`);
      client.destroy();
    } finally {
      this.#clients.delete(client);
    }
  }

  async #answer(client: Socket, line: string): Promise<void> {
    const reply = this.#reply(client, line);
    this.#replies.add(reply);
    try {
      await reply;
    } finally {
      this.#replies.delete(reply);
    }
  }

  async #reply(client: Socket, line: string): Promise<void> {
    if (line.trim() === '') {
      return;
    }
    const reply = await this.#carryOut(line);
    await new Promise<void>((resolve, reject) => {
      client.write(`${JSON.stringify(reply)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }

  async #carryOut(line: string): Promise<ControlReply> {
    try {
      return { ok: true, entries: await this.#options.answer(parseRequest(line)) };
    } catch (error) {
      if (!(error instanceof ControlError)) {
        this.#options.log.error(`bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
      return { ok: false, error: explain(error) };
    }
  }
}
