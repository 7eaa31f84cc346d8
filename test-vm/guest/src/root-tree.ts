/** Makes a folder that a guest can boot from over virtio-fs: `root=TAG rootfstype=virtiofs init=/init`. */
import { chmodSync, copyFileSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestEnvironment } from './environment.ts';
import { exec } from './exec.ts';
import { INIT } from './init.ts';
import { busyboxApplets } from './initramfs.ts';
import { compileProbes } from './probes.ts';

/** What the root is made of. */
export interface RootTreeOptions {
  /** `small`: busybox and the probes (3 MB). `trixie`: also programs and libraries of the Debian tree. */
  readonly kind?: 'small' | 'trixie';
}

/** What of the Debian tree a guest has no use for; most of its bytes. */
const LEFT_OUT = [
  'usr/lib/modules',
  'usr/include',
  'usr/lib/gcc',
  'usr/libexec',
  'usr/lib/linux',
  'usr/share/qemu',
  'boot',
];

/**
 * Fills a folder (made when missing) with a bootable root. The folder is a copy: a guest may write to it.
 * @throws GuestError ERR_GUEST_COMMAND
 */
export async function buildRootTree(
  environment: GuestEnvironment,
  dir: string,
  options: RootTreeOptions = {},
): Promise<void> {
  mkdirSync(dir, { recursive: true });
  if (options.kind === 'trixie') {
    const excludes = LEFT_OUT.map((path) => `--exclude=./${path}`);
    const qemu = ['--exclude=./usr/bin/qemu-*', '--exclude=./usr/lib/x86_64-linux-gnu/*.a'];
    const words = [...excludes, ...qemu].map((word) => `'${word}'`).join(' ');
    const script = `tar -C "$0" ${words} -cf - . | tar -C "$1" -xf -`;
    await exec(['sh', '-ec', script, environment.root, dir], { timeoutMs: 120_000 });
  }
  for (const path of ['usr/bin', 'usr/sbin', 'dev', 'proc', 'sys', 'tmp', 'root', 'etc', 'mnt', 'run']) {
    mkdirSync(join(dir, path), { recursive: true });
  }
  for (const name of ['bin', 'sbin']) link(join(dir, name), `usr/${name}`);
  const bin = join(dir, 'usr/bin');
  put(environment.busybox, join(bin, 'busybox'));
  for (const { name, path } of await compileProbes(environment)) put(path, join(bin, name));
  for (const name of busyboxApplets(environment.busybox)) link(join(bin, name), 'busybox');
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(dir, 'init'), INIT, { mode: 0o755 });
}

function put(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** Programs that are there already win over busybox's. */
function link(path: string, target: string): void {
  if (existsSync(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  symlinkSync(target, path);
}
