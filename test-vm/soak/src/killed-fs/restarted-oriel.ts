/** `oriel fs --restart=on-failure`: its back-end can be killed, and comes back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canSandbox } from '@oriel/sys/testing';
import { must, SoakError } from '../errors.ts';

const MAIN = fileURLToPath(new URL('../../../../apps/backend/src/main.ts', import.meta.url));
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
const LOG_CHARS = 3000;

/** The launcher, and the back-end below it. */
export class RestartedOriel implements AsyncDisposable {
  readonly socketPath: string;
  readonly #share: string;
  readonly #child: ChildProcess;
  readonly #logPath: string;

  /** @param dir - for socket and log */
  constructor(dir: string, share: string, args: readonly string[]) {
    this.socketPath = join(dir, 'fs.sock');
    this.#share = share;
    this.#logPath = join(dir, 'log');
    const log = openSync(this.#logPath, 'w');
    const own = [`--socket-path=${this.socketPath}`, `--shared-dir=${share}`, '--tag=killed', '--restart=on-failure'];
    if (!args.includes('--sandbox=none') && !canSandbox()) own.push('--sandbox=none');
    this.#child = spawn(process.execPath, [...NODE_OPTIONS, MAIN, 'fs', ...own, '--log-format=json', ...args], {
      stdio: ['ignore', 'ignore', log],
    });
    closeSync(log);
  }

  /** The back-end that serves now; 0 while there is none. */
  get backendPid(): number {
    const { pid } = this.#child;
    try {
      return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
    } catch {
      return 0;
    }
  }

  /** The end of its log. */
  get log(): string {
    return readFileSync(this.#logPath, 'utf8').slice(-LOG_CHARS);
  }

  /** Descriptors of the back-end that lead into the share, sorted. */
  get openInShare(): string[] {
    const folder = `/proc/${this.backendPid}/fd`;
    const targets = readdirSync(folder).map((fd) => {
      try {
        return readlinkSync(join(folder, fd));
      } catch {
        return '';
      }
    });
    return targets.filter((target) => target.startsWith(this.#share)).sort();
  }

  /** SIGKILL to the back-end. @returns its pid */
  kill(): number {
    const pid = this.backendPid;
    must(pid > 0 && this.#child.exitCode === null, `there is no back-end\n${this.log}`);
    process.kill(pid, 'SIGKILL');
    return pid;
  }

  /** Ends it, and holds its log to having no error. @throws SoakError ERR_SOAK_DIED, ERR_SOAK_MISMATCH */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new SoakError('ERR_SOAK_DIED', `oriel ended by itself\n${this.log}`);
    }
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [code, signal] = (await exited) as [number | null, string | null];
    must(code === 0, `oriel ended with ${signal ?? `status ${code}`} when told to\n${this.log}`);
    must(!this.log.includes('"level":"error"'), `oriel logged an error\n${this.log}`);
  }

  /** Ends it whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const backend = this.backendPid;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    if (backend > 0) process.kill(backend, 'SIGKILL');
  }
}
