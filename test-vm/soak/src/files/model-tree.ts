/** What the share should hold: a tree in memory, with the errors that Linux would give. */
import { EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM } from '@oriel/sys';
import { ModelBytes } from './model-bytes.ts';

/** A regular file. */
export class ModelFile {
  readonly kind = 'file';
  readonly bytes = new ModelBytes();
  links = 1;
  /** Stored through the window, where the window may show a copy: the file itself need not hold it yet. */
  unsynced = false;
}

/** A directory. */
export class ModelDirectory {
  readonly kind = 'directory';
  readonly entries = new Map<string, ModelNode>();
  /** Null for the root, and once it was removed. */
  parent: ModelDirectory | null;

  constructor(parent: ModelDirectory | null) {
    this.parent = parent;
  }
}

/** A symbolic link. */
export class ModelLink {
  readonly kind = 'link';
  readonly target: string;
  links = 1;

  constructor(target: string) {
    this.target = target;
  }
}

export type ModelNode = ModelFile | ModelDirectory | ModelLink;

/** A place in a directory. */
export interface Place {
  readonly directory: ModelDirectory;
  readonly name: string;
}

/** The tree. Each method does what the request should do, and says with what errno: 0, or the error and no change. */
export class ModelTree {
  readonly root = new ModelDirectory(null);

  at({ directory, name }: Place): ModelNode | undefined {
    return directory.entries.get(name);
  }

  /** Every directory, the root first. */
  directories(): ModelDirectory[] {
    const found: ModelDirectory[] = [this.root];
    for (const one of found) {
      for (const node of one.entries.values()) if (node.kind === 'directory') found.push(node);
    }
    return found;
  }

  /** Every file that has a name, once. */
  files(): ModelFile[] {
    const found = new Set<ModelFile>();
    for (const one of this.directories()) {
      for (const node of one.entries.values()) if (node.kind === 'file') found.add(node);
    }
    return [...found];
  }

  /** Puts a new node at a free place. */
  add(place: Place, node: ModelNode): number {
    if (this.at(place) !== undefined) return EEXIST;
    place.directory.entries.set(place.name, node);
    return 0;
  }

  unlink(place: Place): number {
    const node = this.at(place);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory') return EISDIR;
    place.directory.entries.delete(place.name);
    node.links--;
    return 0;
  }

  rmdir(place: Place): number {
    const node = this.at(place);
    if (node === undefined) return ENOENT;
    if (node.kind !== 'directory') return ENOTDIR;
    if (node.entries.size > 0) return ENOTEMPTY;
    place.directory.entries.delete(place.name);
    node.parent = null;
    return 0;
  }

  link(node: ModelNode, place: Place): number {
    if (node.kind === 'directory') return EPERM;
    if (this.at(place) !== undefined) return EEXIST;
    place.directory.entries.set(place.name, node);
    node.links++;
    return 0;
  }

  /** rename(2) without flags. */
  rename(from: Place, to: Place): number {
    const node = this.at(from);
    const old = this.at(to);
    if (node === undefined) return ENOENT;
    if (node.kind === 'directory' && isInside(to.directory, node)) return EINVAL;
    // What is replaced may hold what replaces it.
    if (old?.kind === 'directory' && isInside(from.directory, old)) return ENOTEMPTY;
    if (node === old) return 0;
    if (old !== undefined) {
      if (node.kind === 'directory' && old.kind !== 'directory') return ENOTDIR;
      if (node.kind !== 'directory' && old.kind === 'directory') return EISDIR;
      const error = old.kind === 'directory' ? this.rmdir(to) : this.unlink(to);
      if (error !== 0) return error;
    }
    from.directory.entries.delete(from.name);
    this.#put(to, node);
    return 0;
  }

  /** RENAME_EXCHANGE. */
  exchange(from: Place, to: Place): number {
    const [one, other] = [this.at(from), this.at(to)];
    if (one === undefined || other === undefined) return ENOENT;
    if (one.kind === 'directory' && isInside(to.directory, one)) return EINVAL;
    if (other.kind === 'directory' && isInside(from.directory, other)) return EINVAL;
    this.#put(from, other);
    this.#put(to, one);
    return 0;
  }

  #put(place: Place, node: ModelNode): void {
    place.directory.entries.set(place.name, node);
    if (node.kind === 'directory') node.parent = place.directory;
  }
}

/** True for a directory itself, and for all below it. */
function isInside(directory: ModelDirectory, ancestor: ModelDirectory): boolean {
  for (let one: ModelDirectory | null = directory; one !== null; one = one.parent) if (one === ancestor) return true;
  return false;
}
