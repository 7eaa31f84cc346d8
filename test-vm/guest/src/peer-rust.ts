/**
 * The programs of `peers/`, made with rust-vmm's crates as Debian packages them: compiled offline by Debian's own rustc in a
 * tree that is thrown away (200 MB to download); the programs stay in the cache.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PrivateApt } from './apt.ts';
import { cacheDir, contentKey, withLock, writeAtomic } from './cache.ts';
import { type GuestEnvironment, treeTool } from './environment.ts';
import { execTool } from './exec.ts';
import { PREFERENCES, SUITES } from './recipe.ts';
import { packageVersions, unpack } from './tree.ts';

const SOURCES = join(import.meta.dirname, '../peers');

/** Bumped when the steps change although packages and sources do not. */
const STEPS = 1;

const CRATES = ['vhost', 'vhost-user-backend', 'virtio-queue', 'vm-memory', 'vmm-sys-util', 'libc'] as const;
const PACKAGES = ['base-files', 'cargo', 'rustc', ...CRATES.map((crate) => `librust-${crate}-dev`)];
const PROGRAMS = ['frontend', 'backend'] as const;

/** The compiled programs. */
export interface RustPeers {
  /** Walks the message table of a back-end: `peers/src/bin/frontend.rs`. */
  readonly frontend: string;
  /** A device that inverts bytes: `peers/src/bin/backend.rs`. */
  readonly backend: string;
  /** Version of each crate, and of rustc, as the packages have it. */
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * Compiles the programs, or finds them in the cache.
 * @throws GuestError ERR_GUEST_UNSUPPORTED, ERR_GUEST_COMMAND with the compiler's words
 */
export async function rustPeers(environment: GuestEnvironment): Promise<RustPeers> {
  const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true }).filter(({ name }) =>
    /\.(rs|toml)$/.test(name),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  const texts = paths.flatMap((path) => [path.slice(SOURCES.length), readFileSync(path)]);
  const recipe = JSON.stringify([STEPS, SUITES, PREFERENCES, PACKAGES]);
  // The programs run with the libraries of the guest's tree.
  const dir = join(cacheDir(), `rust-peers-${contentKey(environment.recipe, recipe, ...texts)}`);
  const stamp = join(dir, 'complete.json');
  const made = (): RustPeers => ({
    frontend: join(dir, 'frontend'),
    backend: join(dir, 'backend'),
    versions: JSON.parse(readFileSync(stamp, 'utf8')) as RustPeers['versions'],
  });
  if (existsSync(stamp)) return made();
  return withLock('rust-peers', async () => {
    if (!existsSync(stamp)) {
      rmSync(dir, { recursive: true, force: true });
      const work = join(dir, 'work');
      const versions = await compile(environment, work, dir);
      rmSync(work, { recursive: true });
      writeAtomic(stamp, `${JSON.stringify(versions, null, 2)}\n`);
    }
    return made();
  });
}

/** @returns the versions */
async function compile(environment: GuestEnvironment, work: string, target: string): Promise<Record<string, string>> {
  const log = (line: string) => process.stderr.write(`rust peers: ${line}\n`);
  const root = join(work, 'root');
  mkdirSync(root, { recursive: true });
  const apt = new PrivateApt(join(work, 'apt'), log);
  await apt.open();
  log('downloading rustc, cargo and crates');
  await apt.downloadWithDependencies(PACKAGES);
  await unpack(apt.archives, root, log);
  const packages = packageVersions(apt.archives);

  const source = join(work, 'source');
  cpSync(SOURCES, source, { recursive: true });
  const config = join(work, 'cargo');
  mkdirSync(config);
  writeFileSync(join(config, 'config.toml'), cargoConfig(environment, root, work));
  log('compiling');
  const cargo = treeTool(root, 'usr/bin/cargo');
  const env = { CARGO_HOME: config, CARGO_TARGET_DIR: join(work, 'target') };
  await execTool(cargo, ['build', '--release', '--offline'], { cwd: source, env, timeoutMs: 600_000 });
  for (const program of PROGRAMS) copyFileSync(join(work, 'target/release', program), join(target, program));
  const names = ['rustc', ...CRATES] as const;
  return Object.fromEntries(names.map((name) => [name, packages[name] ?? packages[`librust-${name}-dev`]!]));
}

/** Crates from Debian's folder only; rustc and the linker through the loaders of their trees, as scripts. */
function cargoConfig(environment: GuestEnvironment, root: string, work: string): string {
  const lib = join(environment.root, 'usr/lib/x86_64-linux-gnu');
  const rustc = script(join(work, 'rustc'), [
    ...treeTool(root, 'usr/bin/rustc').command,
    '--sysroot',
    join(root, 'usr'),
  ]);
  // What is linked runs on the host: it needs the loader and libraries of the tree, this host's may be older.
  const runtime = `-Wl,--dynamic-linker=${lib}/ld-linux-x86-64.so.2,-rpath,${lib}`;
  const linker = script(join(work, 'cc'), environment.gcc.command, [runtime]);
  return `[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "${root}/usr/share/cargo/registry"
[build]
rustc = "${rustc}"
[target.x86_64-unknown-linux-gnu]
linker = "${linker}"
`;
}

function script(path: string, before: readonly string[], after: readonly string[] = []): string {
  const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');
  writeFileSync(path, `#!/bin/sh\nexec ${quoted(before)} "$@" ${quoted(after)}\n`);
  chmodSync(path, 0o755);
  return path;
}
