/** The `oriel` program as a process of its own, over a socket that listens before it starts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DaxTail } from '@oriel/fs-dax';
import { check, Fd, type Sys } from '@oriel/sys';
import { must, SoakError } from '../errors.ts';

/** How `oriel fs` is started. */
export interface OrielOptions {
  /** Directory for socket, log and state. */
  readonly dir: string;
  readonly sharedDir: string;
  readonly tail: DaxTail;
  /** Bytes. */
  readonly windowSize: number;
  readonly daxMinSize: number;
}

const MAIN = fileURLToPath(new URL('../../../../apps/backend/src/main.ts', import.meta.url));
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
const OWNER_ONLY = 0o600;
const BACKLOG = 4;
const SOCKET_FD = 3;
const LOG_CHARS = 1500;

/** A running back-end. */
export class OrielProcess implements AsyncDisposable {
  readonly socketPath: string;
  readonly #child: ChildProcess;
  readonly #logPath: string;

  constructor(sys: Sys, options: OrielOptions) {
    const { dir, sharedDir, tail, windowSize, daxMinSize } = options;
    this.socketPath = join(dir, 'socket');
    this.#logPath = join(dir, 'log');
    using listening = new Fd(sys.fd, check(sys.socket.listenUnix(this.socketPath, OWNER_ONLY, -1, BACKLOG), 'listen'));
    const log = openSync(this.#logPath, 'w');
    const args = [
      ...['fs', `--fd=${SOCKET_FD}`, `--shared-dir=${sharedDir}`, '--tag=soak', `--window=${windowSize}`],
      ...[
        `--dax-tail=${tail}`,
        `--dax-min-size=${daxMinSize}`,
        `--state-dir=${dir}`,
        '--log-format=json',
        '--log-level=warn',
      ],
    ];
    this.#child = spawn(process.execPath, [...NODE_OPTIONS, MAIN, ...args], {
      // The log is a file: nobody reads while a round runs.
      stdio: ['ignore', 'ignore', log, listening.fd],
    });
    closeSync(log);
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
