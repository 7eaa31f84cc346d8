/** The names of a tree: what is found, made, moved and removed under them. Methods give a node, 0, or a negative errno. */
import { EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EROFS, RENAME_NOREPLACE } from '@oriel/sys';
import type { Operation } from '../operation.ts';
import type { KnownNodes } from './known-nodes.ts';
import type { Tree, WritableTree } from './tree.ts';
import type { TreeNode } from './tree-node.ts';

/** What is made under a name. */
export interface NewNode {
  /** S_IF* and permission bits. */
  readonly mode: number;
  readonly rdev?: number;
  /** Of a symbolic link. */
  readonly target?: string;
}

export class TreeNames<N extends TreeNode> {
  /** Null: the tree can only be read. */
  readonly writable: WritableTree<N> | null;
  readonly #tree: Tree<N>;
  readonly #nodes: KnownNodes<N>;

  constructor(tree: Tree<N> | WritableTree<N>, nodes: KnownNodes<N>) {
    this.#tree = tree;
    this.writable = 'make' in tree ? tree : null;
    this.#nodes = nodes;
  }

  directory(nodeid: number): N | number {
    const node = this.#nodes.get(nodeid);
    if (node === undefined) return -ENOENT;
    return node.isDirectory ? node : -ENOTDIR;
  }

  child(parent: number, key: string): N | number {
    const directory = this.directory(parent);
    return typeof directory === 'number' ? directory : (this.#tree.child(directory, key) ?? -ENOENT);
  }

  /** A new node of the caller's. */
  make(op: Operation, parent: number, key: string, { mode, rdev = 0, target = '' }: NewNode): N | number {
    const directory = this.#free(parent, key);
    if (typeof directory === 'number') return directory;
    const node = this.writable!.make(mode, target);
    if (typeof node === 'number') return node;
    node.uid = op.uid;
    node.gid = op.supplementaryGroup >= 0 ? op.supplementaryGroup : op.gid;
    node.rdev = rdev;
    node.nlink = node.isDirectory ? 1 : 0;
    this.#enter(directory, key, node);
    return node;
  }

  /** A further name of a node. */
  link(nodeid: number, parent: number, key: string): N | number {
    const node = this.#nodes.get(nodeid);
    if (node === undefined || node.isDirectory) return node === undefined ? -ENOENT : -EISDIR;
    const directory = this.#free(parent, key);
    if (typeof directory === 'number') return directory;
    this.#enter(directory, key, node);
    return node;
  }

  remove(parent: number, key: string, wantDirectory: boolean): number {
    const node = this.child(parent, key);
    if (typeof node === 'number') return node;
    if (this.writable === null) return -EROFS;
    const error = this.#removable(node, wantDirectory);
    if (error === 0) this.#leave(this.#nodes.get(parent)!, key, node);
    return error;
  }

  rename(parent: number, key: string, newParent: number, newKey: string, flags: number): number {
    const node = this.child(parent, key);
    const to = this.directory(newParent);
    if (typeof node === 'number') return node;
    if (typeof to === 'number') return to;
    if (this.writable === null) return -EROFS;
    if ((flags & ~RENAME_NOREPLACE) !== 0 || this.#holds(node, to)) return -EINVAL;
    const target = this.#tree.child(to, newKey);
    if (target === node) return 0;
    if (target !== undefined) {
      const error = (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : this.#removable(target, node.isDirectory);
      if (error < 0) return error;
      this.#leave(to, newKey, target);
    }
    this.#unhook(this.#nodes.get(parent)!, key, node);
    this.#enter(to, newKey, node);
    return 0;
  }

  /** The directory in which the name is free, or an errno. */
  #free(parent: number, key: string): N | number {
    const directory = this.directory(parent);
    if (typeof directory === 'number') return directory;
    if (this.writable === null) return -EROFS;
    return this.#tree.child(directory, key) === undefined ? directory : -EEXIST;
  }

  #enter(directory: N, key: string, node: N): void {
    this.writable!.enter(directory, key, node);
    node.nlink++;
    if (node.isDirectory) directory.nlink++;
    directory.touch(true);
    node.touch(false);
  }

  #unhook(directory: N, key: string, node: N): void {
    this.writable!.leave(directory, key);
    node.nlink--;
    if (node.isDirectory) directory.nlink--;
    directory.touch(true);
    node.touch(false);
  }

  /** Takes a name away for good. */
  #leave(directory: N, key: string, node: N): void {
    this.#unhook(directory, key, node);
    if (node.isDirectory) node.nlink = 0;
    this.#nodes.lost(node);
  }

  #removable(node: N, wantDirectory: boolean): number {
    if (!node.isDirectory) return wantDirectory ? -ENOTDIR : 0;
    if (!wantDirectory) return -EISDIR;
    for (const _ of this.#tree.children(node)) return -ENOTEMPTY;
    return 0;
  }

  /** Whether `directory` is `node` or somewhere in it: it would come to hold itself, out of everybody's reach. */
  #holds(node: N, directory: N): boolean {
    const left = [node];
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      if (at === directory) return true;
      if (at.isDirectory) for (const [, child] of this.#tree.children(at)) if (child.isDirectory) left.push(child);
    }
    return false;
  }
}
