/** A FUSE mount of the host whose server can be told to answer no more. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./fuse-server.program.ts', import.meta.url));

/** One mount and its server. */
export class FuseMount implements AsyncDisposable {
  readonly path: string;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #said: string[] = [];
  readonly #heard = new EventEmitter();
  #ended = false;

  private constructor(path: string) {
    this.path = path;
    this.#child = spawn(process.execPath, [...process.execArgv, PROGRAM, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#lines.on('line', (line) => {
      this.#said.push(line);
      this.#heard.emit('change');
    });
    this.#child.on('exit', () => {
      this.#ended = true;
      this.#heard.emit('change');
    });
  }

  /** Mounts at a directory, which is made. @returns undefined where that is not allowed */
  static async at(path: string): Promise<FuseMount | undefined> {
    mkdirSync(path, { recursive: true });
    const mount = new FuseMount(path);
    return (await mount.#says('mounted')) ? mount : undefined;
  }

  /** From now on requests are not answered. @param opcode - those of one kind only */
  async hang(opcode?: number): Promise<void> {
    this.#child.stdin!.write(opcode === undefined ? 'hang\n' : `hang ${opcode}\n`);
    await this.#says('hang');
  }

  /** Waits until a request hangs. */
  async holds(): Promise<void> {
    await this.#says('held');
  }

  /** Answers again, what was held first. */
  async go(): Promise<void> {
    this.#child.stdin!.write('go\n');
    await this.#says('go');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // umount(8) asks the mount too.
    await this.go();
    execFileSync('umount', ['-l', this.path]);
    this.#child.stdin!.end();
    while (!this.#ended) await once(this.#heard, 'change');
    this.#lines.close();
  }

  async #says(word: string): Promise<boolean> {
    for (;;) {
      const at = this.#said.findIndex((line) => line.startsWith(word));
      if (at >= 0) {
        this.#said.splice(at, 1);
        return true;
      }
      if (this.#ended) return false;
      await once(this.#heard, 'change');
    }
  }
}
