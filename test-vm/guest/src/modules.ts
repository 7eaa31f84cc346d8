/** Kernel modules for the guest, in loading order. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { GuestEnvironment } from './environment.ts';
import { GuestError } from './errors.ts';

/** A module, unpacked. */
export interface KernelModule {
  readonly name: string;
  readonly data: Buffer;
}

/** What the GPU suites need on the amd64 kernel. */
export const GPU_MODULES = ['virtio-gpu'] as const;

const plain = (name: string) => name.replaceAll('-', '_');

/**
 * The named modules and all they depend on, dependencies first.
 * @param names - as `modprobe` takes them; `-` and `_` are the same
 * @throws GuestError ERR_GUEST_SETUP for a name the kernel does not have as a module
 */
export function loadModules(environment: GuestEnvironment, names: readonly string[]): KernelModule[] {
  const { modulesDir } = environment.kernel;
  const byName = new Map<string, { readonly path: string; readonly needs: readonly string[] }>();
  for (const line of readFileSync(join(modulesDir, 'modules.dep'), 'utf8').split('\n')) {
    const [path, needs] = line.split(':');
    if (path && needs !== undefined)
      byName.set(moduleName(path), { path, needs: needs.trim().split(' ').filter(Boolean) });
  }
  const ordered = new Map<string, string>();
  const visit = (name: string) => {
    if (ordered.has(name)) return;
    const found = byName.get(name);
    if (found === undefined)
      throw new GuestError('ERR_GUEST_SETUP', `kernel ${environment.kernel.release} has no module ${name}`);
    for (const path of found.needs) visit(moduleName(path));
    ordered.set(name, found.path);
  };
  for (const name of names) visit(plain(name));
  return [...ordered].map(([name, path]) => ({ name, data: unpack(environment, join(modulesDir, path)) }));
}

function moduleName(path: string): string {
  return plain(basename(path).replace(/\.ko(\.xz)?$/, ''));
}

function unpack(environment: GuestEnvironment, path: string): Buffer {
  if (!path.endsWith('.xz')) return readFileSync(path);
  const [file, ...args] = environment.xz.command as [string, ...string[]];
  const result = spawnSync(file, [...args, '-dc', path], { maxBuffer: 256 << 20, timeout: 30_000 });
  if (result.status !== 0) throw new GuestError('ERR_GUEST_SETUP', `cannot unpack ${path}: ${String(result.stderr)}`);
  return result.stdout;
}
