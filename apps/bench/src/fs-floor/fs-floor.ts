/** The floor of a small request at a depth of 1: two programs in C, and nothing but the system calls that it needs. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Compiled } from '../compiled.ts';
import type { RunResult } from '../driver/runner.ts';
import { BENCH_DIR, FILES_DIR, fileName, READ_FILE, WRITE_FILE } from '../share.ts';

/** What it is called beside the back-ends. */
export const FLOOR = 'floor';

/** The file that each of its workloads works on. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  getattr: [FILES_DIR, fileName(0)],
  lookup: [FILES_DIR, fileName(0)],
  open: [FILES_DIR, fileName(0)],
  'read-4k': [READ_FILE],
  'write-4k': [WRITE_FILE],
};

const SOURCE = fileURLToPath(new URL('./fs-floor.c', import.meta.url));

/** Whether there is a floor for a workload at a depth. */
export function hasFloor(workload: string, depth: number): boolean {
  return depth === 1 && FILES[workload] !== undefined;
}

/** The compiled program. */
export class FsFloor implements Disposable {
  readonly #program = new Compiled(SOURCE);
  readonly #shareDir: string;
  readonly #cpus: { readonly driver: number; readonly backend: number };

  /** @throws BenchError ERR_BENCH_PEER with the compiler's words */
  constructor(shareDir: string, cpus: { readonly driver: number; readonly backend: number }) {
    this.#shareDir = shareDir;
    this.#cpus = cpus;
  }

  /** Runs a workload that `hasFloor`. @throws BenchError ERR_BENCH_PEER when it fails */
  run(workload: string, seconds: number): Promise<RunResult> {
    const file = join(this.#shareDir, BENCH_DIR, ...FILES[workload]!);
    const { driver, backend } = this.#cpus;
    return this.#program.run(driver, [workload, file, String(backend), String(seconds)]);
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}
