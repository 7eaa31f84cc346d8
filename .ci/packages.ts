/** Packs every published package and uses them as a stranger would: npm install of the tarballs, types, a run. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve('.');
const dir = mkdtempSync(join(tmpdir(), 'oriel-packages-'));
const run = (cwd: string, file: string, ...args: string[]): string =>
  execFileSync(file, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** Most of it lies in npm's cache; what is fetched is asked for twice, as a registry may fail once. */
function install(cwd: string, tarballs: readonly string[]): void {
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts'];
  const command = ['npm', 'install', ...options, ...tarballs] as const;
  try {
    run(cwd, ...command);
  } catch {
    // npm has said why.
    console.log('npm install: once more');
    run(cwd, ...command);
  }
}

try {
  const tarballs = join(dir, 'tarballs');
  mkdirSync(tarballs);
  const folders = [...globSync('packages/*'), 'apps/backend', 'apps/wayland-proxy'];
  const names: string[] = [];
  for (const folder of folders) {
    run(folder, 'npm', 'pack', '--silent', '--pack-destination', tarballs);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name: string;
      exports?: Record<string, unknown>;
    };
    for (const entry of Object.keys(manifest.exports ?? {})) names.push(manifest.name + entry.slice(1));
  }
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }));
  const files = readdirSync(tarballs).map((file) => join(tarballs, file));
  install(dir, files);

  const lines = names.map(
    (name, n) => `import * as p${n} from '${name}';\nconsole.log('${name}', Object.keys(p${n}).length);`,
  );
  writeFileSync(join(dir, 'use.ts'), `${lines.join('\n')}\n`);
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
  const strict = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', ...types];
  run(dir, join(root, 'node_modules/.bin/tsc'), ...strict, 'use.ts');
  const printed = run(dir, process.execPath, 'use.ts').trim().split('\n');
  const empty = printed.filter((line) => line.endsWith(' 0'));
  if (printed.length !== names.length || empty.length > 0)
    throw new Error(`entries without exports: ${empty.join(', ')}`);

  const capabilities = run(dir, process.execPath, join(dir, 'node_modules/.bin/oriel'), 'fs', '--print-capabilities');
  if ((JSON.parse(capabilities) as { type?: string }).type !== 'fs') throw new Error(`oriel says ${capabilities}`);
  // What `npm create oriel` makes, with these packages in the place of the published ones.
  run(dir, process.execPath, join(dir, 'node_modules/.bin/create-oriel'), 'my-device');
  const project = join(dir, 'my-device');
  install(project, files);
  const tested = run(project, 'npm', 'test', '--silent');
  if (!/^\S* ?pass [1-9]/m.test(tested)) throw new Error(`a new device project says ${tested}`);

  console.log(
    `${files.length} packages install, type-check and load (${names.length} entries); oriel and create-oriel run`,
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
