/** The floor: the least that an effect costs in C, measured by `floor.c` between our own runs. */
import { fileURLToPath } from 'node:url';
import { Compiled } from '../../compiled.ts';
import type { RunResult } from '../../driver/runner.ts';

/**
 * - `exchange`: a descriptor goes to another process, which maps and unmaps it and answers.
 * - `wire`, `wire-life`: every message and system call that MAP_BLOB and UNMAP_BLOB (and CREATE_BLOB and UNREF) ask for.
 * - `memcpy`: the bytes once from memory to memory. `socket`: once through a Unix socket. `frame`: both.
 */
export const FLOOR_KINDS = ['exchange', 'wire', 'wire-life', 'memcpy', 'socket', 'frame'] as const;
export type FloorKind = (typeof FLOOR_KINDS)[number];

const SOURCE = fileURLToPath(new URL('./floor.c', import.meta.url));

/** The compiled program. */
export class Floor implements Disposable {
  readonly #program = new Compiled(SOURCE);
  readonly #cpu: number;

  /** Compiles it. @param cpu - where both of its processes run @throws BenchError ERR_BENCH_PEER with the compiler's words */
  constructor(cpu: number) {
    this.#cpu = cpu;
  }

  /** Runs one kind with so many bytes. @throws BenchError ERR_BENCH_PEER when it fails */
  run(kind: FloorKind, bytes: number, seconds: number): Promise<RunResult> {
    return this.#program.run(this.#cpu, [kind, String(bytes), String(seconds)]);
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}
