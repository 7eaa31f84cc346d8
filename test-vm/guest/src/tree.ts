/** Makes the Debian tree: download, unpack, depmod, compiler wrappers. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PrivateApt } from './apt.ts';
import { type GuestEnvironment, treeTool } from './environment.ts';
import { GuestError } from './errors.ts';
import { exec, execTool, type Tool } from './exec.ts';
import { BARE_PACKAGES, KERNEL_META, PACKAGES, QEMU_MINIMUM, RECIPE } from './recipe.ts';

type Log = (line: string) => void;

/**
 * Fills an empty folder with the tree.
 * @returns the environment; the caller writes the stamp
 * @throws GuestError ERR_GUEST_UNSUPPORTED, ERR_GUEST_COMMAND; the folder is then of no use
 */
export async function makeTree(dir: string, log: Log): Promise<GuestEnvironment> {
  const root = join(dir, 'root');
  const aptDir = join(dir, 'apt');
  mkdirSync(root, { recursive: true });
  const apt = new PrivateApt(aptDir, log);
  await apt.open();
  log(`downloading ${PACKAGES.length} packages with their dependencies, and ${KERNEL_META}`);
  await apt.downloadWithDependencies(PACKAGES);
  await apt.download([...BARE_PACKAGES, ...(await kernelPackages(apt))]);
  await unpack(apt.archives, root, log);
  const packages = packageVersions(apt.archives);
  rmSync(aptDir, { recursive: true });
  const kernel = await prepareKernel(root, log);
  return {
    recipe: RECIPE,
    dir,
    root,
    qemu: await findQemu(root),
    kernel,
    virtiofsd: await versioned(treeTool(root, 'usr/libexec/virtiofsd'), /(\d+\.\d+\.\d+)/),
    gcc: await prepareGcc(dir, root),
    headersDir: join(root, 'usr/include'),
    packages,
    busybox: join(root, 'usr/bin/busybox'),
    xz: await versioned(treeTool(root, 'usr/bin/xz'), /(\d+\.\d+\.\d+)/),
  };
}

/** The packages with files behind the kernel's meta package, whichever way the archive splits it. */
async function kernelPackages(apt: PrivateApt): Promise<string[]> {
  const image = (await apt.dependencies(KERNEL_META)).find((name) => /^linux-image-\d/.test(name));
  if (image === undefined) throw new GuestError('ERR_GUEST_SETUP', `${KERNEL_META} names no image`);
  const parts = (await apt.dependencies(image)).filter((name) => /^linux-(binary|modules|base)-\d/.test(name));
  return parts.some((name) => name.startsWith('linux-binary')) ? parts : [image, ...parts];
}

/** Unpacks every package of a folder, without what only people read. */
export async function unpack(archives: string, root: string, log: Log): Promise<void> {
  const names = readdirSync(archives).filter((name) => name.endsWith('.deb'));
  log(`unpacking ${names.length} packages`);
  // base-files first: it brings /bin -> usr/bin and the like, which every other package relies on.
  const base = names.filter((name) => name.startsWith('base-files_'));
  await unpackAll(archives, base, root);
  const rest = names.filter((name) => !base.includes(name));
  // Two at a time: decompression is the cost.
  const half = Math.ceil(rest.length / 2);
  await Promise.all([unpackAll(archives, rest.slice(0, half), root), unpackAll(archives, rest.slice(half), root)]);
  // Nothing here is read by people; it is half of the files.
  for (const path of ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info', 'usr/share/lintian']) {
    rmSync(join(root, path), { recursive: true, force: true });
  }
}

async function unpackAll(archives: string, names: readonly string[], root: string): Promise<void> {
  for (const name of names) await exec(['dpkg-deb', '-x', join(archives, name), root], { timeoutMs: 300_000 });
}

async function prepareKernel(root: string, log: Log): Promise<GuestEnvironment['kernel']> {
  const modules = join(root, 'usr/lib/modules');
  const release = readdirSync(modules).find((name) => /^\d/.test(name));
  if (release === undefined) throw new GuestError('ERR_GUEST_SETUP', `${modules} holds no kernel`);
  const modulesDir = join(modules, release);
  // New packages keep the image with the modules, older ones in /boot.
  const image = [join(modulesDir, 'vmlinuz'), join(root, `boot/vmlinuz-${release}`)].find((path) => existsSync(path));
  if (image === undefined) throw new GuestError('ERR_GUEST_SETUP', `no image of kernel ${release} in ${root}`);
  log(`indexing the modules of ${release}`);
  const kmod = treeTool(root, 'usr/bin/kmod');
  // kmod is many programs in one and looks at its own name.
  await exec([...kmod.command.slice(0, 3), '--argv0', 'depmod', kmod.command.at(-1)!, '-b', root, release], {
    timeoutMs: 120_000,
  });
  return { image, release, modulesDir };
}

/** gcc starts cc1, as and ld by name: give it wrappers that go through the tree's loader too. */
async function prepareGcc(dir: string, root: string): Promise<Tool> {
  const libexec = 'usr/libexec/gcc/x86_64-linux-gnu';
  const version = readdirSync(join(root, libexec))[0]!;
  const tools = join(dir, 'tools');
  mkdirSync(tools);
  const inner = ['cc1', 'collect2', 'lto-wrapper'].map((name) => [name, `${libexec}/${version}/${name}`] as const);
  const binutils = ['as', 'ld', 'nm', 'ar'].map((name) => [name, `usr/bin/x86_64-linux-gnu-${name}`] as const);
  for (const [name, path] of [...inner, ...binutils]) {
    const words = treeTool(root, path)
      .command.map((word) => `'${word}'`)
      .join(' ');
    writeFileSync(join(tools, name), `#!/bin/sh\nexec ${words} "$@"\n`);
    chmodSync(join(tools, name), 0o755);
  }
  const gcc = treeTool(root, `usr/bin/x86_64-linux-gnu-gcc-${version}`);
  return versioned({ ...gcc, command: [...gcc.command, '-B', `${tools}/`, `--sysroot=${root}`] }, /(\d+\.\d+\.\d+)/);
}

/** The host's QEMU where it is new enough, else the tree's. */
export async function findQemu(root: string): Promise<GuestEnvironment['qemu']> {
  try {
    const text = await exec(['qemu-system-x86_64', '--version']);
    const [, version, major, minor] = /version ((\d+)\.(\d+)[\w.]*)/.exec(text) ?? [];
    const [wantMajor, wantMinor] = QEMU_MINIMUM;
    if (Number(major) > wantMajor || (Number(major) === wantMajor && Number(minor) >= wantMinor)) {
      return { command: ['qemu-system-x86_64'], env: {}, version: version!, from: 'host' };
    }
  } catch {
    // None on PATH: the usual case.
  }
  const tool = await versioned(treeTool(root, 'usr/bin/qemu-system-x86_64'), /version (\d+\.\d+[\w.]*)/);
  const firmware = ['usr/share/qemu', 'usr/share/seabios', 'usr/lib/ipxe/qemu'].flatMap((path) => [
    '-L',
    join(root, path),
  ]);
  // QEMU looks for its modules beside /proc/self/exe, which is the loader here.
  const env = { QEMU_MODULE_DIR: join(root, 'usr/lib/x86_64-linux-gnu/qemu') };
  return { ...tool, command: [...tool.command, ...firmware], env, from: 'tree' };
}

async function versioned(tool: Tool, pattern: RegExp): Promise<Tool> {
  const text = await execTool(tool, ['--version']);
  return { ...tool, version: pattern.exec(text)?.[1] ?? text.trim() };
}

/** Name and version of every package unpacked, read off the archive names. */
export function packageVersions(archives: string): Record<string, string> {
  const names = readdirSync(archives).filter((name) => name.endsWith('.deb'));
  return Object.fromEntries(names.map((name) => name.split('_', 2).map(decodeURIComponent)));
}
