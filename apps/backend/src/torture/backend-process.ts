/** A back-end that is started for one clause. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { PeerEnd } from '@oriel/torture';

const POLL_MS = 10;
/** A socket that is bound under another name than the one that it is known by is never seen to listen. */
const BOUND_MS = 300;
/** `__SO_ACCEPTCON` in the flags of /proc/net/unix. */
const LISTENING = /^\S+ \S+ \S+ 00010000 /;

/** The command did not come to listen; in one line. */
export class BackendStartError extends Error {
  override readonly name = 'BackendStartError';
}

/** Whether somebody listens at a path, without a connection to show for it: some back-ends take one, and no more. */
function isListening(path: string): boolean {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return lines.some((line) => line.endsWith(` ${path}`) && LISTENING.test(line));
}

/** A child process that listens on a socket; ended by its pid. */
export class BackendProcess {
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #ended: Promise<unknown>;
  readonly #kill = (): void => {
    this.#child.kill('SIGKILL');
  };

  private constructor(command: string, logPath: string) {
    this.#logPath = logPath;
    const log = openSync(logPath, 'w');
    try {
      this.#child = spawn('/bin/sh', ['-c', `exec ${command}`], { stdio: ['ignore', log, log] });
    } finally {
      closeSync(log);
    }
    process.once('exit', this.#kill);
    this.#ended = once(this.#child, 'exit');
  }

  /**
   * Starts a shell command and waits until it listens.
   * @param command - its pid is that of the program: the shell makes way for it
   * @param logPath - its output goes there
   * @throws BackendStartError with its last line when it ends, or does not listen in time
   */
  static async start(command: string, socketPath: string, logPath: string, timeoutMs: number): Promise<BackendProcess> {
    rmSync(socketPath, { force: true });
    const backend = new BackendProcess(command, logPath);
    const end = performance.now() + timeoutMs;
    let boundAt = Number.POSITIVE_INFINITY;
    // Nothing tells when somebody else's process listens.
    for (;;) {
      const now = performance.now();
      if (existsSync(socketPath)) boundAt = Math.min(boundAt, now);
      if (isListening(socketPath) || now - boundAt > BOUND_MS) return backend;
      if (backend.end !== null || now > end) {
        await backend.stop();
        throw new BackendStartError(`the command does not listen on ${socketPath}: ${backend.lastLine}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** How it ended; null while it runs. */
  get end(): PeerEnd | null {
    const { exitCode: code, signalCode: signal } = this.#child;
    return code === null && signal === null ? null : { code, signal };
  }

  /** What it said last; '' for nothing. */
  get lastLine(): string {
    return readFileSync(this.#logPath, 'utf8').trim().split('\n').at(-1) ?? '';
  }

  /** Waits until it has ended by itself. @returns how, or null when it still runs */
  async awaitEnd(timeoutMs: number): Promise<PeerEnd | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#ended, late]);
    clearTimeout(timer);
    return this.end;
  }

  /** Kills it, and waits for its end. */
  async stop(): Promise<void> {
    if (this.end === null) {
      this.#kill();
      await this.#ended;
    }
    process.off('exit', this.#kill);
  }
}
