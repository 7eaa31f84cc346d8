/**
 * Puts together a folder that a guest can run as it is: `dist/guest` with the program, koffi and Node of this machine's
 * architecture. Nothing in it is compiled in the guest, and nothing is downloaded.
 */
import { chmodSync, constants, copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';

const app = join(import.meta.dirname, '..');
const to = join(app, 'dist/guest');

/** The folder of an installed package. */
function folderOf(name: string): string {
  const found = findPackageJSON(name, import.meta.url);
  if (found === undefined) throw new Error(`${name} is not installed: npm install`);
  return dirname(found);
}

const LAUNCHER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/node" "$here/main.js" "$@"
`;

const platform = `linux-${process.arch}`;
const modules = join(to, 'node_modules');
rmSync(to, { recursive: true, force: true });
mkdirSync(modules, { recursive: true });
copyFileSync(join(app, 'dist/main.js'), join(to, 'main.js'));
writeFileSync(join(to, 'package.json'), '{ "type": "module" }\n');
const koffi = folderOf('koffi');
for (const part of [
  'package.json',
  'LICENSE.txt',
  'index.js',
  'index.cjs',
  'indirect.js',
  'indirect.cjs',
  'src/koffi',
]) {
  cpSync(join(koffi, part), join(modules, 'koffi', part), { recursive: true });
}
cpSync(folderOf(`@koromix/koffi-${platform}`), join(modules, `@koromix/koffi-${platform}`), { recursive: true });
copyFileSync(join(folderOf(`node-${platform}`), 'bin/node'), join(to, 'node'), constants.COPYFILE_FICLONE);
writeFileSync(join(to, 'oriel-wayland'), LAUNCHER);
chmodSync(join(to, 'oriel-wayland'), 0o755);
process.stderr.write(`${to}: copy or share this folder into the guest, and run its oriel-wayland\n`);
