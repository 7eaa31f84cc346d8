/**
 * Commands to the guest over its second serial port. The init of our guests prints {@link READY} there once, then runs
 * each line it reads in a shell of its own; a script travels as base64 and its end is told by a random marker.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { GuestError } from './errors.ts';

/** Printed by the init of the guest when it is about to read commands. */
export const READY = 'ORIEL-GUEST-READY';

/** What a command in the guest did. */
export interface CommandResult {
  /** Exit status; 128 + signal as the shell gives it. */
  readonly code: number;
  /** stdout and stderr together, without the last newline. */
  readonly output: string;
}

/** A longer line could overrun the 4096 bytes that the guest's tty holds while the shell is busy. */
const CHUNK = 2000;

/** One shell channel; commands run one after the other. */
export class ShellChannel {
  readonly #socket: Socket;
  #text = '';
  #watch: (() => void) | undefined;
  #closed = false;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text;
      this.#watch?.();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#closed = true;
      this.#watch?.();
    });
  }

  /** Waits for the first {@link READY}. @throws GuestError ERR_GUEST_EXITED */
  async ready(): Promise<void> {
    await this.#until(() => (this.#text.includes(`${READY}\n`) ? true : undefined));
    this.#text = '';
  }

  /** What came since the last finished command: shown when a command does not end. */
  get pending(): string {
    return this.#text;
  }

  /**
   * Runs a shell script in the guest; stdin is /dev/null. Each call is a shell of its own (no state stays).
   * Nothing here ends a wait but the marker or the end of the connection: the caller sets the time limit.
   * @throws GuestError ERR_GUEST_EXITED when QEMU goes
   */
  run(script: string): Promise<CommandResult> {
    const next = this.#queue.then(() => this.#run(script));
    this.#queue = next.catch(() => {});
    return next;
  }

  /** Sends a script and waits for nothing: for commands that end the guest. */
  send(script: string): void {
    const code = Buffer.from(script).toString('base64');
    this.#socket.write(`sh -c "$(echo ${code} | base64 -d)"\n`);
  }

  async #run(script: string): Promise<CommandResult> {
    const code = Buffer.from(script).toString('base64');
    if (code.length <= CHUNK) return this.#exchange(`sh -c "$(echo ${code} | base64 -d)"`);
    await this.#exchange(': >/tmp/.oriel-script');
    for (let at = 0; at < code.length; at += CHUNK) {
      await this.#exchange(`echo ${code.slice(at, at + CHUNK)} >>/tmp/.oriel-script`);
    }
    return this.#exchange('base64 -d </tmp/.oriel-script >/tmp/.oriel-script.sh; sh /tmp/.oriel-script.sh');
  }

  async #exchange(line: string): Promise<CommandResult> {
    const marker = randomBytes(8).toString('hex');
    this.#text = '';
    this.#socket.write(`${line}; printf '\\n%s:%d:\\n' ${marker} $?\n`);
    const end = new RegExp(`\\n${marker}:(\\d+):\\n`);
    const match = await this.#until(() => end.exec(this.#text) ?? undefined);
    const output = this.#text.slice(0, match.index);
    this.#text = '';
    return { code: Number(match[1]), output: output.replace(/\n$/, '') };
  }

  #until<T>(check: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#watch = () => {
        const found = check();
        if (found === undefined && !this.#closed) return;
        this.#watch = undefined;
        if (found !== undefined) resolve(found);
        else reject(new GuestError('ERR_GUEST_EXITED', 'the shell channel was closed'));
      };
      this.#watch();
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
