/** A back-end in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const FLAGS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];

/** A script of this folder, or one by its URL; killed by its pid when disposed. */
export class Child implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(script: string, args: readonly string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.#child = spawn(process.execPath, [...FLAGS, path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = once(this.#child, 'exit');
  }

  /** Starts it, and waits until it says 'listening'. @throws Error when it ends instead */
  static async start(script: string, ...args: readonly string[]): Promise<Child> {
    const child = new Child(script, args);
    const stdout = child.#child.stdout as Readable;
    let said = '';
    while (!said.includes('listening')) {
      const [chunk] = (await Promise.race([once(stdout, 'data'), child.#ended.then(() => [null])])) as [Buffer | null];
      if (chunk === null) throw new Error(`${script} ended: ${said}`);
      said += String(chunk);
    }
    stdout.resume();
    return child;
  }

  /** Whether it runs. */
  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.alive) {
      this.#child.kill('SIGKILL');
      await this.#ended;
    }
  }
}
