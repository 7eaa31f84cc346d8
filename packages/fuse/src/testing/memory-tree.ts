/** The names of the memory file system: nodes by nodeid, entries, lookup counts. */
import {
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFDIR,
} from '@oriel/sys';
import { FUSE_ROOT_ID } from '../constants.ts';
import type { Entry } from '../entry.ts';
import type { Operation } from '../operation.ts';
import { fillAttributes } from '../tree/node-attributes.ts';
import { MemoryNode } from './memory-node.ts';

/** A tree of nodes; methods return 0, a negative errno, or what they name. */
export class MemoryTree {
  readonly root: MemoryNode;
  readonly nodes: Map<number, MemoryNode> = new Map();
  #nextNodeid = FUSE_ROOT_ID + 1;

  constructor() {
    this.root = new MemoryNode(FUSE_ROOT_ID, S_IFDIR | 0o755, 0, 0);
    this.nodes.set(FUSE_ROOT_ID, this.root);
  }

  get(nodeid: number): MemoryNode | undefined {
    return this.nodes.get(nodeid);
  }

  /** The directory `parent`, or an errno. */
  directory(parent: number): MemoryNode | number {
    const node = this.nodes.get(parent);
    if (node === undefined) {
      return -ENOENT;
    }
    return node.children === null ? -ENOTDIR : node;
  }

  /** The node that a name stands for, or an errno. */
  child(parent: number, key: string): MemoryNode | number {
    const directory = this.directory(parent);
    return typeof directory === 'number' ? directory : (directory.children!.get(key) ?? -ENOENT);
  }

  /** A node without a name, owned by the caller of `op`. */
  make(op: Operation, mode: number): MemoryNode {
    const group = op.supplementaryGroup >= 0 ? op.supplementaryGroup : op.gid;
    const node = new MemoryNode(this.#nextNodeid++, mode, op.uid, group);
    node.nlink = 0;
    this.nodes.set(node.nodeid, node);
    return node;
  }

  /** A new node under a name. */
  makeAt(op: Operation, parent: number, key: string, mode: number): MemoryNode | number {
    const directory = this.directory(parent);
    if (typeof directory === 'number') {
      return directory;
    }
    if (directory.children!.has(key)) {
      return -EEXIST;
    }
    const node = this.make(op, mode);
    this.#enter(directory, key, node);
    return node;
  }

  link(nodeid: number, parent: number, key: string): MemoryNode | number {
    const node = this.nodes.get(nodeid);
    const directory = this.directory(parent);
    if (node === undefined) {
      return -ENOENT;
    }
    if (typeof directory === 'number') {
      return directory;
    }
    // A directory has one parent; a second one could lie within it, and the way up would not end.
    if (node.children !== null) {
      return -EPERM;
    }
    if (directory.children!.has(key)) {
      return -EEXIST;
    }
    this.#enter(directory, key, node);
    return node;
  }

  /** UNLINK, or RMDIR. */
  remove(parent: number, key: string, wantDirectory: boolean): number {
    const node = this.child(parent, key);
    if (typeof node === 'number') {
      return node;
    }
    const error = removable(node, wantDirectory);
    if (error === 0) {
      this.#leave(this.nodes.get(parent)!, key, node);
      this.sweep(node);
    }
    return error;
  }

  rename(parent: number, key: string, newParent: number, newKey: string, flags: number): number {
    const node = this.child(parent, key);
    const to = this.directory(newParent);
    if (typeof node === 'number') {
      return node;
    }
    if (typeof to === 'number') {
      return to;
    }
    const from = this.nodes.get(parent)!;
    const target = to.children!.get(newKey);
    if (isInside(to, node) || (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) {
      return -EINVAL;
    }
    if ((flags & RENAME_EXCHANGE) !== 0) {
      if (target === undefined) {
        return -ENOENT;
      }
      if (isInside(from, target)) {
        return -EINVAL;
      }
      this.#leave(from, key, node);
      this.#leave(to, newKey, target);
      this.#enter(from, key, target);
      this.#enter(to, newKey, node);
      return 0;
    }
    if (target === node) {
      return 0;
    }
    if (target !== undefined) {
      const error = (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : removable(target, node.children !== null);
      if (error !== 0) {
        return error;
      }
      this.#leave(to, newKey, target);
      this.sweep(target);
    }
    this.#leave(from, key, node);
    this.#enter(to, newKey, node);
    return 0;
  }

  /** Answers with a node, which the driver then holds once more. */
  count(node: MemoryNode, entry: Entry): number {
    node.lookups++;
    entry.nodeid = node.nodeid;
    entry.generation = 0;
    fillAttributes(entry.attr, node, node.nodeid, node.size);
    return 0;
  }

  forget(nodeid: number, count: number): void {
    const node = this.nodes.get(nodeid);
    if (node !== undefined) {
      node.lookups = Math.max(0, node.lookups - count);
      this.sweep(node);
    }
  }

  /** Drops a node that nothing leads to any more. */
  sweep(node: MemoryNode): void {
    if (node.nlink === 0 && node.lookups === 0 && node.opens === 0) {
      this.nodes.delete(node.nodeid);
    }
  }

  #enter(directory: MemoryNode, key: string, node: MemoryNode): void {
    directory.children!.set(key, node);
    directory.touch(true);
    node.touch(false);
    if (node.children === null) {
      node.nlink++;
    } else {
      node.nlink = 2;
      node.parent = directory;
      directory.nlink++;
    }
  }

  #leave(directory: MemoryNode, key: string, node: MemoryNode): void {
    directory.children!.delete(key);
    directory.touch(true);
    node.touch(false);
    if (node.children === null) {
      node.nlink--;
    } else {
      node.nlink = 0;
      directory.nlink--;
    }
  }
}

function removable(node: MemoryNode, wantDirectory: boolean): number {
  if (node.children === null) {
    return wantDirectory ? -ENOTDIR : 0;
  }
  if (!wantDirectory) {
    return -EISDIR;
  }
  return node.children.size === 0 ? 0 : -ENOTEMPTY;
}

/** True when `node` is `directory` or holds it. */
function isInside(directory: MemoryNode, node: MemoryNode): boolean {
  for (let at = directory; ; at = at.parent) {
    if (at === node) {
      return true;
    }
    if (at.parent === at) {
      return false;
    }
  }
}
