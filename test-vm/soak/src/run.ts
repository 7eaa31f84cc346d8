/**
 * Runs a soak as a process of its own, so that a hang ends and a crash is told with the round in which it came. Imports
 * nothing but Node's own modules: it also runs where the packages' sources are not found by condition.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readProgress } from './progress.ts';
import type { SoakFailure, SoakReport } from './report.ts';
import type { SoakEntry } from './soaks.ts';

/** How long and from which seed. */
export interface RunOptions {
  /** Rounds begin until so much time is over; one round runs at least. */
  readonly seconds: number;
  /** u32; the first round's. */
  readonly seed: number;
  /** Most rounds; default: as many as the time allows. */
  readonly rounds?: number;
  /** How long the process may go on after its time, s; default 40. Longer is a hang. */
  readonly graceSeconds?: number;
}

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
const GRACE_SECONDS = 40;
/** Last words that are worth keeping. */
const STDERR_CHARS = 4000;

/** The shell sets the limit (in blocks of 512 bytes) and becomes the process. */
function command(fileLimitKiB: number, args: readonly string[]): [string, string[]] {
  if (fileLimitKiB === 0) return [process.execPath, [...args]];
  return ['/bin/sh', ['-c', 'ulimit -f "$0" && exec "$@"', String(fileLimitKiB * 2), process.execPath, ...args]];
}

/** Runs a soak to its end. @returns its report; a failure of any kind is in it, and nothing is thrown */
export async function runSoak(soak: SoakEntry, options: RunOptions): Promise<SoakReport> {
  const { seconds, seed, rounds = 0, graceSeconds = GRACE_SECONDS } = options;
  const dir = mkdtempSync(join(tmpdir(), `oriel-soak-${soak.name}-`));
  const progressPath = join(dir, 'progress');
  const start = performance.now();
  const settings = { name: soak.name, module: soak.url, progress: progressPath, seed, seconds, rounds };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  try {
    const end = await ended(command(soak.fileLimitKiB, [...NODE_OPTIONS, CHILD, ...args]), dir, seconds + graceSeconds);
    if (end.report !== null) return end.report;
    const place = readProgress(progressPath);
    return {
      name: soak.name,
      seed: place?.seed ?? seed,
      seconds: (performance.now() - start) / 1000,
      rounds: place?.round ?? 0,
      operations: 0,
      counts: {},
      rssMiB: 0,
      failure: end.failure,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface End {
  readonly report: SoakReport | null;
  readonly failure: SoakFailure;
}

/** @param dir - the process's directory for temporary files, which is removed whatever becomes of it */
function ended([program, args]: [string, string[]], dir: string, limitSeconds: number): Promise<End> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: dir },
      // A group of its own: what a killed soak had started goes with it.
      detached: true,
    });
    let output = '';
    let words = '';
    let late = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-STDERR_CHARS);
    });
    const killAll = (): void => killGroup(child.pid!);
    const timer = setTimeout(() => {
      late = true;
      killAll();
    }, limitSeconds * 1000);
    process.once('exit', killAll);
    child.on('exit', killAll);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      process.off('exit', killAll);
      const how = late ? `still running after ${limitSeconds} s` : `ended by ${signal ?? `status ${code}`}`;
      const failure = { code: late ? 'ERR_SOAK_ENDLESS' : 'ERR_SOAK_DIED', message: `${how}\n${words}`, stack: '' };
      resolve({ report: parse(output), failure });
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

function parse(output: string): SoakReport | null {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? (JSON.parse(line) as SoakReport) : null;
}
