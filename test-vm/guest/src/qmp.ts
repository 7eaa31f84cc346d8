/** QMP: QEMU's control channel, one JSON object a line. */
import type { Socket } from 'node:net';
import { GuestError } from './errors.ts';

/** An event as QEMU sends it. */
export interface QmpEvent {
  readonly event: string;
  readonly data?: unknown;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A QMP connection; {@link ready} settles once commands are accepted. */
export class QmpClient {
  /** Every event so far, oldest first. */
  readonly events: QmpEvent[] = [];
  readonly ready: Promise<void>;
  readonly #socket: Socket;
  readonly #waiters = new Map<number, Waiter>();
  #nextId = 1;
  #closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    let greeted: () => void = () => {};
    const greeting = new Promise<void>((resolve) => {
      greeted = resolve;
    });
    let rest = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.trim() !== '') this.#message(JSON.parse(line), greeted);
    });
    // The close event follows an error and says all there is to say.
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#closed = true;
      for (const { reject } of this.#waiters.values()) reject(new GuestError('ERR_GUEST_EXITED', 'QMP was closed'));
      this.#waiters.clear();
    });
    this.ready = greeting.then(async () => {
      await this.execute('qmp_capabilities');
    });
    this.ready.catch(() => {});
  }

  /**
   * Runs one command.
   * @returns its `return` value
   * @throws GuestError ERR_GUEST_QMP with QEMU's words, ERR_GUEST_EXITED when the connection goes
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#closed) return Promise.reject(new GuestError('ERR_GUEST_EXITED', `QMP is closed, ${command} not sent`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args ?? {}, id })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  // biome-ignore lint/suspicious/noExplicitAny: the shape is QEMU's, and each branch checks its own part.
  #message(message: any, greeted: () => void): void {
    if (message.QMP !== undefined) {
      greeted();
      return;
    }
    if (message.event !== undefined) {
      this.events.push(message as QmpEvent);
      return;
    }
    const waiter = this.#waiters.get(message.id);
    this.#waiters.delete(message.id);
    if (message.error !== undefined) {
      waiter?.reject(new GuestError('ERR_GUEST_QMP', `${message.error.class}: ${message.error.desc}`));
    } else waiter?.resolve(message.return);
  }
}
