/** The cache folder that all clones share, and the lock that keeps two set-ups apart. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { GuestError } from './errors.ts';

/** `$XDG_CACHE_HOME/oriel`, by default `~/.cache/oriel`; made when missing. */
export function cacheDir(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const dir = join(base, 'oriel');
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** A short name for a content: 16 hex digits of its sha256. */
export function contentKey(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
}

/** Writes a file so that others see either nothing or all of it. */
export function writeAtomic(path: string, data: string | Uint8Array, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(temporary, data, { mode });
  renameSync(temporary, path);
}

/**
 * Runs `body` while holding an exclusive lock on a name in the cache folder.
 * The lock is `flock(1)`'s, held by a child whose stdin we own: however this process ends, the lock is freed.
 * @param onWait - called once if another process holds the lock
 * @throws GuestError ERR_GUEST_TIMEOUT when the lock is not to be had within `timeoutMs`
 */
export async function withLock<T>(
  name: string,
  body: () => Promise<T>,
  options: { readonly onWait?: () => void; readonly timeoutMs?: number } = {},
): Promise<T> {
  const path = join(cacheDir(), `${name}.lock`);
  const child = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? 900_000;
      const waiting = setTimeout(() => options.onWait?.(), 500);
      const limit = setTimeout(
        () => settle(new GuestError('ERR_GUEST_TIMEOUT', `${path} was held by another process for ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle = (error?: Error) => {
        clearTimeout(waiting);
        clearTimeout(limit);
        error === undefined ? resolve() : reject(error);
      };
      child.stdout.once('data', () => settle());
      child.once('error', (cause) => settle(new GuestError('ERR_GUEST_UNSUPPORTED', 'flock(1) is missing', { cause })));
      child.once('close', (code) => settle(new GuestError('ERR_GUEST_SETUP', `flock ended with ${code}`)));
    });
    return await body();
  } finally {
    child.stdin.destroy();
    // A child still queued for the lock does not read its stdin: end it by its own pid.
    if (child.exitCode === null && child.pid !== undefined) child.kill('SIGTERM');
    if (child.pid !== undefined) await ended;
  }
}
