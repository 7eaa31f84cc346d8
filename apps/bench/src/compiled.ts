/** Programs in C that floors are measured with: compiled when they are needed, run on a CPU, read by their one line. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onCpu } from './cpu.ts';
import type { RunResult } from './driver/runner.ts';
import { BenchError } from './errors.ts';

const COMPILER = 'cc';
const execute = promisify(execFile);

/** A compiled program, until it is disposed. */
export class Compiled implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'oriel-bench-floor-'));
  readonly #program = join(this.#dir, 'floor');

  /** @param source - a file of C @throws BenchError ERR_BENCH_PEER with the compiler's words */
  constructor(source: string) {
    try {
      execFileSync(COMPILER, ['-O2', '-o', this.#program, source], { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (cause) {
      this[Symbol.dispose]();
      throw new BenchError('ERR_BENCH_PEER', `${source}: ${(cause as Error).message}`, { cause });
    }
  }

  /** Whether there is a C compiler. */
  static get possible(): boolean {
    return spawnSync(COMPILER, ['--version'], { stdio: 'ignore' }).status === 0;
  }

  /** Runs it. @throws BenchError ERR_BENCH_PEER when it fails: `floor`, its first argument, and why */
  async run(cpu: number, args: readonly string[]): Promise<RunResult> {
    const [file, ...rest] = onCpu(cpu, [this.#program, ...args]);
    try {
      return parseFloor((await execute(file!, rest)).stdout);
    } catch (cause) {
      throw new BenchError('ERR_BENCH_PEER', `floor ${args[0]}: ${(cause as Error).message}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** What a run printed. @throws RangeError when that is not six numbers */
export function parseFloor(line: string): RunResult {
  const numbers = line.trim().split(' ').map(Number);
  if (numbers.length !== 6 || !numbers.every(Number.isFinite)) throw new RangeError(`not a run: ${line}`);
  const [ops = 0, seconds = 0, p50Us = 0, p99Us = 0, backendCpuUs = 0, driverCpuUs = 0] = numbers;
  return { ops, seconds, p50Us, p99Us, backendCpuUs, driverCpuUs, kicks: 0, sleeps: 0 };
}
