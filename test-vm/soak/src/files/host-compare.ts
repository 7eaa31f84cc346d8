/** Holds the host's directory against the model. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { SoakError, same } from '../errors.ts';
import type { ModelDirectory, ModelFile } from './model-tree.ts';

/** Compares everything, contents of files only where they changed since the last time. */
export class HostCompare {
  readonly #root: string;
  readonly #versions = new WeakMap<ModelFile, number>();

  constructor(root: string) {
    this.#root = root;
  }

  /** @throws SoakError ERR_SOAK_MISMATCH */
  check(root: ModelDirectory): void {
    this.#directory(root, this.#root);
  }

  #directory(directory: ModelDirectory, path: string): void {
    same(`names in ${path}`, readdirSync(path).sort().join('/'), [...directory.entries.keys()].sort().join('/'));
    for (const [name, node] of directory.entries) {
      const at = join(path, name);
      const facts = lstatSync(at);
      switch (node.kind) {
        case 'directory':
          same(`${at} is a directory`, facts.isDirectory(), true);
          this.#directory(node, at);
          break;
        case 'link':
          same(`target of ${at}`, readlinkSync(at), node.target);
          same(`names of ${at}`, facts.nlink, node.links);
          break;
        case 'file':
          same(`size of ${at}`, facts.size, node.bytes.size);
          same(`names of ${at}`, facts.nlink, node.links);
          this.#content(node, at);
          break;
      }
    }
  }

  #content(file: ModelFile, path: string): void {
    if (this.#versions.get(file) === file.bytes.version) return;
    const bytes = readFileSync(path);
    const wanted = file.bytes.all;
    if (Buffer.compare(bytes, wanted) !== 0) {
      const at = bytes.findIndex((byte, index) => byte !== wanted[index]);
      throw new SoakError('ERR_SOAK_MISMATCH', `byte ${at} of ${path}: ${bytes[at]} on the host, wanted ${wanted[at]}`);
    }
    this.#versions.set(file, file.bytes.version);
  }
}
