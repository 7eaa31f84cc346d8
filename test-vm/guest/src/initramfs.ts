/** Builds the initramfs of a guest: busybox, the probes, modules and whatever a suite adds. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDir, contentKey, writeAtomic } from './cache.ts';
import { type CpioEntry, cpio } from './cpio.ts';
import type { GuestEnvironment } from './environment.ts';
import { INIT } from './init.ts';
import { loadModules } from './modules.ts';
import { compileProbes } from './probes.ts';

/** What goes in beside busybox and the probes. */
export interface InitramfsOptions {
  /** Kernel modules that init loads, with their dependencies; default none. */
  readonly modules?: readonly string[];
  /** Guest path to content, or to the host path of a file (whose content is taken, mode 0755). */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** The applet names of a busybox. */
export function busyboxApplets(busybox: string): string[] {
  return execFileSync(busybox, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
}

/**
 * Builds an initramfs, or finds it in the cache.
 * @returns the path of the archive, for `-initrd`
 * @throws GuestError ERR_GUEST_COMMAND, ERR_GUEST_SETUP
 */
export async function buildInitramfs(environment: GuestEnvironment, options: InitramfsOptions = {}): Promise<string> {
  const entries: CpioEntry[] = [];
  const dirs = new Set<string>();
  const dir = (path: string) => {
    if (path === '/' || path === '.' || dirs.has(path)) return;
    dir(dirname(path));
    dirs.add(path);
    entries.push({ kind: 'dir', path });
  };
  const file = (path: string, data: Uint8Array) => {
    dir(dirname(path));
    entries.push({ kind: 'file', path, data, mode: 0o755 });
  };
  for (const path of ['/bin', '/dev', '/proc', '/sys', '/tmp', '/root', '/etc', '/mnt', '/run']) dir(path);
  // The kernel opens it before init has mounted anything.
  entries.push({ kind: 'char', path: '/dev/console', major: 5, minor: 1 });
  file('/init', Buffer.from(INIT));
  file('/etc/passwd', Buffer.from('root:x:0:0:root:/root:/bin/sh\n'));
  file('/etc/group', Buffer.from('root:x:0:\n'));
  file('/bin/busybox', readFileSync(environment.busybox));
  const probes = await compileProbes(environment);
  const ours = new Set(probes.map(({ name }) => name));
  for (const name of busyboxApplets(environment.busybox)) {
    if (!ours.has(name)) entries.push({ kind: 'link', path: `/bin/${name}`, target: 'busybox' });
  }
  for (const { name, path } of probes) file(`/bin/${name}`, readFileSync(path));
  loadModules(environment, options.modules ?? []).forEach(({ name, data }, index) => {
    file(`/lib/oriel-modules/${String(index).padStart(2, '0')}-${name}.ko`, data);
  });
  for (const [path, content] of Object.entries(options.files ?? {})) {
    file(path, typeof content === 'string' ? readFileSync(content) : content);
  }
  const archive = cpio(entries);
  const folder = join(cacheDir(), 'initramfs');
  mkdirSync(folder, { recursive: true });
  const target = join(folder, `${contentKey(archive)}.cpio`);
  if (!existsSync(target)) writeAtomic(target, archive);
  return target;
}
