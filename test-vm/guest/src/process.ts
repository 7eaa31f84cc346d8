/** A process of ours on the host: QEMU, virtiofsd, a back-end under test. Ended by its own pid and no other way. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { GuestError, tail } from './errors.ts';
import { withTimeout } from './wait.ts';

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How to start a process. */
export interface ProcessOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** For error messages; default: argv[0]. */
  readonly name?: string;
}

const living = new Set<ChildProcess>();
let hooked = false;

/** A child would outlive a process that is killed: let the kernel end it, where util-linux can ask for that. */
const PDEATHSIG = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];

/** A child process with collected output. stdin is /dev/null. */
export class HostProcess {
  readonly name: string;
  /** Settles when the process has ended and its output is read to the end; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #exit: ProcessExit | undefined;

  private constructor(command: readonly string[], options: ProcessOptions) {
    this.name = options.name ?? command[0]!;
    const [file, ...args] = [...PDEATHSIG, ...command] as [string, ...string[]];
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    this.#child = child;
    living.add(child);
    if (!hooked) {
      hooked = true;
      process.once('exit', () => {
        for (const one of living) one.kill('SIGKILL');
      });
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      for (const watch of this.#watchers) watch();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      for (const watch of this.#watchers) watch();
    });
    this.exited = new Promise((resolve) => {
      const end = (exit: ProcessExit) => {
        living.delete(child);
        this.#exit = exit;
        resolve(exit);
        for (const watch of this.#watchers) watch();
      };
      child.once('error', (error) => {
        this.#stderr += String(error);
        end({ code: 127, signal: null });
      });
      child.once('close', (code, signal) => end({ code, signal }));
    });
  }

  /** Starts a command; whether it could be started shows in {@link exited} and {@link stderr}. */
  static start(command: readonly string[], options: ProcessOptions = {}): HostProcess {
    return new HostProcess(command, options);
  }

  /**
   * Starts a command and waits until its output matches; otherwise it is ended.
   * @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT
   */
  static async startUntil(
    ready: RegExp,
    command: readonly string[],
    options: ProcessOptions = {},
    timeoutMs = 30_000,
  ): Promise<HostProcess> {
    const program = HostProcess.start(command, options);
    try {
      await program.waitOutput(ready, timeoutMs);
    } catch (error) {
      await program.stop();
      throw error;
    }
    return program;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get alive(): boolean {
    return this.#exit === undefined;
  }

  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /**
   * Waits until stdout or stderr matches.
   * @throws GuestError ERR_GUEST_EXITED when the process ends first, ERR_GUEST_TIMEOUT
   */
  async waitOutput(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    let watch: (() => void) | undefined;
    const seen = new Promise<void>((resolve, reject) => {
      watch = () => {
        if (pattern.test(this.#stderr) || pattern.test(this.#stdout)) resolve();
        else if (this.#exit !== undefined) reject(this.#ended());
      };
      this.#watchers.add(watch);
      watch();
    });
    try {
      await withTimeout(seen, timeoutMs, () => this.#late(`did not print ${String(pattern)}`, timeoutMs));
    } finally {
      this.#watchers.delete(watch!);
    }
  }

  /** Waits for the end. @throws GuestError ERR_GUEST_TIMEOUT; the process is left running */
  waitExit(timeoutMs = 30_000): Promise<ProcessExit> {
    return withTimeout(this.exited, timeoutMs, () => this.#late('did not end', timeoutMs));
  }

  /** Sends a signal; no effect once the process has ended. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL where that is not heard within `graceMs`. */
  async stop(graceMs = 3000): Promise<ProcessExit> {
    this.kill('SIGTERM');
    try {
      return await this.waitExit(graceMs);
    } catch {
      this.kill('SIGKILL');
      return this.exited;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #ended(): GuestError {
    const { code, signal } = this.#exit!;
    return new GuestError('ERR_GUEST_EXITED', `${this.name} ended (${signal ?? code})\n${tail(this.#stderr)}`);
  }

  #late(what: string, timeoutMs: number): GuestError {
    return new GuestError('ERR_GUEST_TIMEOUT', `${this.name} ${what} in ${timeoutMs} ms\n${tail(this.#stderr)}`);
  }
}
