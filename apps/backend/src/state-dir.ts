/** Where the program keeps what must outlive it: the crash records of `--dax-tail`. */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CliError } from './cli/cli-error.ts';

/** `/var/lib/oriel` for root, else `$XDG_STATE_HOME/oriel` (XDG Base Directory Specification: ~/.local/state). */
export function defaultStateDir(env: NodeJS.ProcessEnv = process.env, uid: number = process.getuid?.() ?? 0): string {
  if (uid === 0) {
    return '/var/lib/oriel';
  }
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local/state'), 'oriel');
}

/**
 * Makes the directory where it is missing, for its owner only.
 * @throws CliError that says what to give
 */
export function openStateDir(path: string = defaultStateDir()): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  } catch (error) {
    throw new CliError(
      `--state-dir=${path}: ${(error as Error).message}: give a directory that can be made or written`,
    );
  }
}
