/** Runs a piece of code in a process of its own that has the package at hand. */
import { spawn } from 'node:child_process';

const index = new URL('../src/index.ts', import.meta.url).href;

/** A child that hangs is killed after this: a slow machine needs long to load one. */
export const CHILD_MS = 60_000;

/** How a child ended and what it wrote. `code` is null for one that had to be killed. */
export interface ChildResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param timeoutMs - a child that hangs is killed after this */
export function runChild(code: string, timeoutMs = CHILD_MS): Promise<ChildResult> {
  const source = `import { openSys, BlockingLoop, NodeLoop, openOffload, SYS, Mapping, EPOLLIN } from '${index}';
    import { Worker } from 'node:worker_threads';
    ${code}`;
  const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', source];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ code: exitCode, stdout, stderr }));
  });
}
