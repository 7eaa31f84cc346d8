/** The `oriel` program as a process of its own, over sockets that listen before it starts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, Fd, type Sys } from '@oriel/sys';
import { must, SoakError } from './errors.ts';

/** How the program is started. */
export interface OrielOptions {
  /** Directory for sockets and log. */
  readonly dir: string;
  /** How many sockets listen: as many connections it can serve. */
  readonly sockets: number;
  /** Its arguments, from the numbers of the sockets' descriptors. */
  readonly args: (fds: readonly number[]) => readonly string[];
}

const MAIN = fileURLToPath(new URL('../../../apps/backend/src/main.ts', import.meta.url));
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
const LOG_OPTIONS = ['--log-format=json', '--log-level=warn'];
const OWNER_ONLY = 0o600;
const BACKLOG = 4;
const FIRST_FD = 3;
const LOG_CHARS = 1500;

/** A running back-end. */
export class OrielProcess implements AsyncDisposable {
  /** In the order of the descriptors. */
  readonly socketPaths: readonly string[];
  readonly #child: ChildProcess;
  readonly #logPath: string;

  constructor(sys: Sys, { dir, sockets, args }: OrielOptions) {
    this.socketPaths = Array.from({ length: sockets }, (_, index) => join(dir, `socket${index}`));
    this.#logPath = join(dir, 'log');
    using stack = new DisposableStack();
    const listening = this.socketPaths.map((path) =>
      stack.use(new Fd(sys.fd, check(sys.socket.listenUnix(path, OWNER_ONLY, -1, BACKLOG), 'listen'))),
    );
    const fds = listening.map((_, index) => FIRST_FD + index);
    const log = openSync(this.#logPath, 'w');
    this.#child = spawn(process.execPath, [...NODE_OPTIONS, MAIN, ...args(fds), ...LOG_OPTIONS], {
      // The log is a file: nobody reads while a round runs.
      stdio: ['ignore', 'ignore', log, ...listening.map(({ fd }) => fd)],
    });
    closeSync(log);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The end of its log. */
  get log(): string {
    return readFileSync(this.#logPath, 'utf8').slice(-LOG_CHARS);
  }

  /** Names of the descriptors that it has open, sorted. */
  get descriptors(): string[] {
    const names: string[] = [];
    for (const fd of readdirSync(`/proc/${this.#child.pid}/fd`)) {
      try {
        names.push(readlinkSync(`/proc/${this.#child.pid}/fd/${fd}`).replace(/\[\d+\]/, ''));
      } catch {
        // Closed meanwhile.
      }
    }
    return names.sort();
  }

  /** Ends it, and holds its log to having no error. @throws SoakError ERR_SOAK_DIED, ERR_SOAK_MISMATCH */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      const how = this.#child.signalCode ?? `status ${this.#child.exitCode}`;
      throw new SoakError('ERR_SOAK_DIED', `the back-end ended by itself (${how})\n${this.log}`);
    }
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [code, signal] = (await exited) as [number | null, string | null];
    must(code === 0, `the back-end ended with ${signal ?? `status ${code}`} when told to\n${this.log}`);
    must(!this.log.includes('"level":"error"'), `the back-end logged an error\n${this.log}`);
  }

  /** Ends it whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
