/** The floor: the least that an effect costs in C, measured by `floor.c` between our own runs. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onCpu } from '../../cpu.ts';
import type { RunResult } from '../../driver/runner.ts';
import { BenchError } from '../../errors.ts';

/**
 * - `exchange`: a descriptor goes to another process, which maps and unmaps it and answers.
 * - `wire`, `wire-life`: every message and system call that MAP_BLOB and UNMAP_BLOB (and CREATE_BLOB and UNREF) ask for.
 * - `memcpy`: the bytes once from memory to memory. `socket`: once through a Unix socket. `frame`: both.
 */
export const FLOOR_KINDS = ['exchange', 'wire', 'wire-life', 'memcpy', 'socket', 'frame'] as const;
export type FloorKind = (typeof FLOOR_KINDS)[number];

const COMPILER = 'cc';
const SOURCE = fileURLToPath(new URL('./floor.c', import.meta.url));
const execute = promisify(execFile);

/** The compiled program. */
export class Floor implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'oriel-bench-floor-'));
  readonly #program = join(this.#dir, 'floor');
  readonly #cpu: number;

  /** Compiles it. @param cpu - where both of its processes run @throws BenchError ERR_BENCH_PEER with the compiler's words */
  constructor(cpu: number) {
    this.#cpu = cpu;
    try {
      execFileSync(COMPILER, ['-O2', '-o', this.#program, SOURCE], { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (cause) {
      this[Symbol.dispose]();
      throw new BenchError('ERR_BENCH_PEER', `${SOURCE}: ${(cause as Error).message}`, { cause });
    }
  }

  /** Whether there is a C compiler. */
  static get possible(): boolean {
    return spawnSync(COMPILER, ['--version'], { stdio: 'ignore' }).status === 0;
  }

  /** Runs one kind with so many bytes. @throws BenchError ERR_BENCH_PEER when it fails */
  async run(kind: FloorKind, bytes: number, seconds: number): Promise<RunResult> {
    const [file, ...args] = onCpu(this.#cpu, [this.#program, kind, String(bytes), String(seconds)]);
    try {
      return parseFloor((await execute(file!, args)).stdout);
    } catch (cause) {
      throw new BenchError('ERR_BENCH_PEER', `floor ${kind}: ${(cause as Error).message}`, { cause });
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
