/** A folder in which made projects find the packages of this checkout, as if npm had installed them. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** How a command ended. */
export interface Ended {
  readonly code: number;
  /** stdout and stderr. */
  readonly text: string;
}

/** What `npm install` does for a project: links to the packages of this checkout, and to its tools. */
export function install(folder: string): void {
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  for (const name of ['@oriel', '@types', 'typescript', '.bin'])
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
}

/** The environment of a user who has this checkout's Node; programs come from its sources. */
export function environment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: [dirname(process.execPath), join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
    NODE_OPTIONS: '--conditions=@oriel/source --disable-warning=ExperimentalWarning',
  };
}

/** Runs a command line as a user of the project does. */
export function run(folder: string, line: string): Promise<Ended> {
  return new Promise((resolve) => {
    execFile('sh', ['-c', line], { cwd: folder, env: environment(), maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 128), text: stdout + stderr });
    });
  });
}

/** Runs `npm create oriel ARGS`. */
export function create(folder: string, ...args: readonly string[]): Promise<Ended> {
  return run(folder, `'${process.execPath}' '${MAIN}' ${args.join(' ')}`);
}
