/** A program that serves a device, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Types are stripped, and packages of this repository come from source. */
const FLAGS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'] as const;

/** A running program. */
export class ServedProgram implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Code and signal. */
  readonly ended: Promise<unknown[]>;
  /** What it printed, on either stream. */
  text = '';

  private constructor(path: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [...FLAGS, path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.ended = once(this.child, 'close');
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.text += text;
        this.child.emit('said');
      });
    }
  }

  /**
   * Starts a program under this Node and waits until it says that it listens.
   * @param path - of its file
   * @throws Error with its words when it ends instead
   */
  static async start(path: string, ...args: readonly string[]): Promise<ServedProgram> {
    const program = new ServedProgram(path, args);
    await program.said(/^listening/m);
    return program;
  }

  /** Waits until what it printed matches. @throws Error with its words when it ends before */
  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      const ended = await Promise.race([once(this.child, 'said').then(() => false), this.ended.then(() => true)]);
      if (ended && !pattern.test(this.text)) throw new Error(`ended without ${pattern}: ${this.text}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}
