/** Makes a device project of the template, which is itself a device named `my-device`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateError } from './errors.ts';

/** As source and as built, this file stands one folder below the package's own. */
const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const TEMPLATE = join(PACKAGE, 'template');
const TEMPLATE_NAME = 'my-device';
/** npm's rule for new packages, without scopes. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,212}$/;

interface Manifest {
  name: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** A project that was made. */
export interface Project {
  readonly name: string;
  readonly folder: string;
  /** Paths in the folder. */
  readonly files: readonly string[];
}

/**
 * Makes a project.
 * @param target - the folder, new or empty; its name is the project's
 * @throws CreateError; nothing was written then. Error as node:fs does
 */
export function createProject(target: string): Project {
  const folder = resolve(target);
  const name = basename(folder);
  if (!NAME.test(name)) {
    throw new CreateError('ERR_CREATE_NAME', `'${name}': want small letters, digits, '-', '_' and '.'`);
  }
  if (existsSync(folder) && (!statSync(folder).isDirectory() || readdirSync(folder).length > 0)) {
    throw new CreateError('ERR_CREATE_FOLDER', `${folder} is there, and not an empty folder`);
  }
  const files: string[] = [];
  for (const entry of readdirSync(TEMPLATE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    // npm leaves a .gitignore out of what it publishes.
    const file = source.slice(TEMPLATE.length + 1).replace(/^gitignore$/, '.gitignore');
    const text = readFileSync(source, 'utf8').replaceAll(TEMPLATE_NAME, name);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), file === 'package.json' ? withVersions(text) : text);
    files.push(file);
  }
  return { name, folder, files: files.sort() };
}

/** Puts in the versions that this package was tested with: those of its own development dependencies. */
function withVersions(text: string): string {
  const tested = (JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as Manifest).devDependencies;
  const manifest = JSON.parse(text) as Manifest;
  for (const dependencies of [manifest.dependencies, manifest.devDependencies]) {
    for (const name of Object.keys(dependencies)) {
      dependencies[name] = tested[name]!.replace(/^\^/, '');
    }
  }
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
