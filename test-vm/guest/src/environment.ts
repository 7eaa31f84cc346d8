/** Everything a guest run needs, as paths and commands. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from './cache.ts';
import type { Tool } from './exec.ts';
import { RECIPE } from './recipe.ts';

/** A guest kernel and its modules. */
export interface GuestKernel {
  /** Path of the bzImage. */
  readonly image: string;
  /** As `uname -r` prints it in the guest. */
  readonly release: string;
  /** Folder with `kernel/` and `modules.dep`; the modules are `.ko.xz`. */
  readonly modulesDir: string;
}

/** What {@link setupGuest} leaves behind; plain data, so that a child process can be given it as JSON. */
export interface GuestEnvironment {
  /** Key of the recipe the tree was made by. */
  readonly recipe: string;
  /** Folder of the tree and its stamp. */
  readonly dir: string;
  /** The Debian tree, unpacked but never configured. */
  readonly root: string;
  /** QEMU with its firmware paths; from the tree, or the host's own where that is new enough. */
  readonly qemu: Tool & { readonly from: 'tree' | 'host' };
  readonly kernel: GuestKernel;
  readonly virtiofsd: Tool;
  /** C compiler that targets the guest; paths of the host work as they are. */
  readonly gcc: Tool;
  /** The user space headers of the guest's kernel (linux-libc-dev). */
  readonly headersDir: string;
  /** Every package of the tree with its version. */
  readonly packages: Readonly<Record<string, string>>;
  /** A static busybox. */
  readonly busybox: string;
  readonly xz: Tool;
}

/** Where the tree of this recipe is or will be. */
export function guestDir(): string {
  return join(cacheDir(), `guest-${RECIPE}`);
}

/** The stamp: present only once the tree is whole. */
export function stampPath(dir: string): string {
  return join(dir, 'complete.json');
}

/** The environment of an earlier set-up, or undefined where there is none (or it was interrupted). */
export function loadEnvironment(): GuestEnvironment | undefined {
  const path = stampPath(guestDir());
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as GuestEnvironment) : undefined;
}

/**
 * A program of the tree, run on the host through the tree's own dynamic loader: no chroot, so sockets, shared folders
 * and file descriptors are the host's.
 */
export function treeTool(root: string, path: string, version = ''): Tool {
  const lib = join(root, 'usr/lib/x86_64-linux-gnu');
  const program = join(root, path);
  const loader = join(lib, 'ld-linux-x86-64.so.2');
  return { command: [loader, '--library-path', lib, '--argv0', program, program], env: {}, version };
}
