/** Raw loads and stores by a child process, which may die: one outcome an access. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { RangeKind, SceneOptions } from '../scene.ts';

export type Access = 'load' | 'store';

/** One access to a range of the scene. */
export interface Touch {
  readonly kind: RangeKind;
  readonly access: Access;
}

/** What a child is told to do, in order. */
export interface TouchOrder extends SceneOptions {
  readonly accesses: readonly Touch[];
}

/** What a child saw: the word after the access, and after a store to unmapped memory the word after `Window.wipe`. */
export interface TouchResult {
  value: number;
  wiped: number | null;
}

/** A word, or the signal that ended the process. */
export type TouchOutcome = TouchResult | NodeJS.Signals;

const CHILD = new URL('./child.ts', import.meta.url).pathname;

/** Makes the accesses, in as many children as it takes. @throws Error when a child ends in any other way */
export async function touch(order: TouchOrder): Promise<TouchOutcome[]> {
  const outcomes: TouchOutcome[] = [];
  while (outcomes.length < order.accesses.length) {
    const rest = { ...order, accesses: order.accesses.slice(outcomes.length) };
    const { lines, signal, code, stderr } = await run(rest);
    outcomes.push(...lines.map((line) => JSON.parse(line) as TouchResult));
    if (signal !== null) {
      outcomes.push(signal);
    } else if (code !== 0 || lines.length !== rest.accesses.length) {
      throw new Error(`the child exited with ${code} after ${lines.length} accesses: ${stderr}`);
    }
  }
  return outcomes;
}

async function run(order: TouchOrder) {
  // These deaths are wanted: they leave no core files.
  const argv = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, '--conditions=@oriel/source'];
  const child = spawn('sh', [...argv, '--disable-warning=ExperimentalWarning', CHILD, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { lines: stdout.split('\n').filter((line) => line !== ''), signal, code, stderr };
}
