/** The driver's process as the bench sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { onCpu } from './cpu.ts';
import type { AnyCommand, DriverAnswer } from './driver/protocol.ts';
import type { RunResult } from './driver/runner.ts';
import { BenchError } from './errors.ts';
import { NODE_FLAGS } from './node-flags.ts';

/** How long a command may take beyond the seconds that it measures. */
const GRACE_MS = 60_000;

/** A driver that is told what to do. */
export class DriverProcess<C extends AnyCommand> implements Disposable {
  readonly #child: ChildProcess;
  #answer: ((answer: DriverAnswer) => void) | null = null;
  /** Why it is not there any more; '' while it is. */
  #ended = '';

  /** @param main - path of its program @param cpu - where it runs @param flags - more flags of Node, such as `--cpu-prof` */
  constructor(main: string, cpu: number, flags: readonly string[] = []) {
    const [execPath, ...rest] = onCpu(cpu, [process.execPath, ...NODE_FLAGS, ...flags]) as [string, ...string[]];
    this.#child = fork(main, [], { execPath, execArgv: rest, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (answer: DriverAnswer) => this.#answer?.(answer));
    const ended = (message: string) => {
      this.#ended = message;
      this.#answer?.({ kind: 'failed', message });
    };
    this.#child.on('error', (error) => ended(`the driver does not start: ${error.message}`));
    this.#child.on('exit', (code, signal) => ended(`the driver ended (${signal ?? code})`));
  }

  /**
   * Has a command carried out.
   * @throws BenchError ERR_BENCH_ANSWER with the driver's words, ERR_BENCH_TIMEOUT; the driver is then of no more use
   */
  async call(command: C): Promise<RunResult | null> {
    if (this.#ended !== '') throw new BenchError('ERR_BENCH_PEER', this.#ended);
    const limitMs = GRACE_MS + (command.seconds ?? 0) * 1000;
    const answer = await new Promise<DriverAnswer>((resolve, reject) => {
      const timer = setTimeout(() => {
        const what = `${command.kind} at ${command.side}`;
        reject(new BenchError('ERR_BENCH_TIMEOUT', `${what}: no answer within ${limitMs} ms`));
      }, limitMs);
      this.#answer = (said) => {
        clearTimeout(timer);
        resolve(said);
      };
      this.#child.send(command);
    });
    this.#answer = null;
    if (answer.kind === 'failed') throw new BenchError('ERR_BENCH_ANSWER', `${command.side}: ${answer.message}`);
    return answer.result;
  }

  /** Ends it, also when it sleeps in a system call. */
  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}
