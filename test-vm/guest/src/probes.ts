/** Compiles the probe programs (`probes/*.c`) for the guest: static, cached by the content of source and compiler. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cacheDir, contentKey } from './cache.ts';
import type { GuestEnvironment } from './environment.ts';
import { execTool } from './exec.ts';

const SOURCES = join(import.meta.dirname, '../probes');

/** A program of the guest on the host's disk. */
export interface Probe {
  readonly name: string;
  readonly path: string;
}

/**
 * Compiles one C file into a static program.
 * @param source - path of a `.c` file on the host
 * @throws GuestError ERR_GUEST_COMMAND with the compiler's words
 */
export async function compileProbe(environment: GuestEnvironment, source: string): Promise<Probe> {
  const name = basename(source, '.c');
  const flags = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-std=gnu17', '-D_GNU_SOURCE', '-pthread', '-s'];
  const headers = readdirSync(join(source, '..')).filter((file) => file.endsWith('.h'));
  const texts = [source, ...headers.map((file) => join(source, '..', file))].map((file) => readFileSync(file));
  const dir = join(cacheDir(), 'probes');
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `${name}-${contentKey(environment.recipe, ...flags, ...texts)}`);
  if (!existsSync(path)) {
    const temporary = `${path}.${process.pid}`;
    await execTool(environment.gcc, [...flags, '-o', temporary, source]);
    renameSync(temporary, path);
  }
  return { name, path };
}

/** All programs of the probes folder. */
export async function compileProbes(environment: GuestEnvironment): Promise<Probe[]> {
  const probes: Probe[] = [];
  for (const file of readdirSync(SOURCES).sort()) {
    if (file.endsWith('.c')) probes.push(await compileProbe(environment, join(SOURCES, file)));
  }
  return probes;
}
