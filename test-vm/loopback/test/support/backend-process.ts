/** Starts a back-end of the tests as a process of its own, and looks at it from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ASK_STATS, type BackendOptions, type BackendStats } from './backend-options.ts';

const FS_PROGRAM = fileURLToPath(new URL('./backend.ts', import.meta.url));
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];

/** What a process has open: names of descriptors, and of mapped files. */
export interface Holdings {
  readonly fds: readonly string[];
  readonly maps: readonly string[];
}

/** What the starter of any back-end knows of it. */
export interface AnyOptions {
  readonly socketPath: string;
  readonly logPath: string;
}

/** A back-end that prints a line when it listens, and one for each thing asked. It ends when its standard input does. */
export class BackendProcess {
  readonly options: AnyOptions;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #exited: Promise<NodeJS.Signals | number>;

  private constructor(program: string, options: AnyOptions) {
    this.options = options;
    this.#child = spawn(process.execPath, [...NODE_OPTIONS, program, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface(this.#child.stdout!);
    this.#exited = once(this.#child, 'exit').then(([code, signal]) => signal ?? code);
  }

  /** Starts that of a file system and waits until it listens. */
  static start(options: BackendOptions): Promise<BackendProcess> {
    return BackendProcess.startProgram(FS_PROGRAM, options);
  }

  /** Starts any program with its options as JSON, and waits until it listens. */
  static async startProgram(program: string, options: AnyOptions): Promise<BackendProcess> {
    const backend = new BackendProcess(program, options);
    await backend.#line();
    return backend;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Everything it logged so far. */
  get log(): string {
    return existsSync(this.options.logPath) ? readFileSync(this.options.logPath, 'utf8') : '';
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What a file system back-end counts. */
  stats(): Promise<BackendStats> {
    return this.ask<BackendStats>(ASK_STATS);
  }

  /** Writes to its standard input. @returns the line of JSON that it prints next */
  async ask<T>(text: string): Promise<T> {
    this.#child.stdin!.write(text);
    return JSON.parse(await this.#line()) as T;
  }

  /** What it has open now, sorted. */
  holdings(): Holdings {
    const maps = readFileSync(`/proc/${this.pid}/maps`, 'utf8')
      .split('\n')
      .map((line) => line.split(/\s+/).slice(5).join(' '))
      .filter((name) => name.startsWith('/') && !/\.so(\.[\d.]+)?$|\.node$/.test(name));
    const fds: string[] = [];
    for (const fd of readdirSync(`/proc/${this.pid}/fd`)) {
      try {
        fds.push(readlinkSync(`/proc/${this.pid}/fd/${fd}`));
      } catch {
        // It was closed since the directory was read.
      }
    }
    return { fds: fds.sort(), maps: maps.sort() };
  }

  /** Waits for its end. @returns its exit code or signal */
  exited(): Promise<NodeJS.Signals | number> {
    return this.#exited;
  }

  /** Ends it in order. @returns its exit code or signal */
  stop(): Promise<NodeJS.Signals | number> {
    this.#child.stdin!.end();
    return this.#exited;
  }

  kill(): Promise<NodeJS.Signals | number> {
    this.#child.kill('SIGKILL');
    return this.#exited;
  }

  /** The next line of its output; an end instead is told with its log. */
  async #line(): Promise<string> {
    const ended = this.#exited.then((how): never => {
      throw new Error(`the back-end ended (${how})\n${this.log}`);
    });
    ended.catch(() => {});
    const [line] = (await Promise.race([once(this.#lines, 'line'), ended])) as [string];
    return line;
  }
}
