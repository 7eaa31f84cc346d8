/** What is asked of the open files of a user's own tree. */
import { EBADF, EROFS, O_APPEND, S_IFREG } from '@oriel/sys';
import * as C from '../constants.ts';
import type { IoVector } from '../io-vector.ts';
import type { Operation } from '../operation.ts';
import { KnownNodes } from './known-nodes.ts';
import type { MemfdFile } from './memfd-file.ts';
import { killSuidgid } from './node-attributes.ts';
import { seekInData } from './seek.ts';
import type { Tree, WritableTree } from './tree.ts';
import { TreeNames } from './tree-names.ts';
import type { TreeNode } from './tree-node.ts';

/** Methods as `Filesystem` has them. */
export class TreeFiles<N extends TreeNode> {
  protected readonly tree: Tree<N>;
  protected readonly nodes: KnownNodes<N>;
  protected readonly names: TreeNames<N>;

  constructor(tree: Tree<N> | WritableTree<N>) {
    this.tree = tree;
    this.nodes = new KnownNodes(tree.root, (node) => tree.forgotten?.(node));
    this.names = new TreeNames(tree, this.nodes);
  }

  read(_op: Operation, _nodeid: number, fh: number, offset: number, io: IoVector): number {
    const file = this.#file(fh);
    return typeof file === 'number' ? file : file.read(offset, io);
  }

  write(
    _op: Operation,
    _nodeid: number,
    fh: number,
    offset: number,
    io: IoVector,
    openFlags: number,
    writeFlags: number,
  ): number {
    const file = this.#file(fh);
    if (typeof file === 'number') return file;
    if (this.names.writable === null) return -EROFS;
    const { node } = this.nodes.handle(fh)!.known;
    const appends = (openFlags & O_APPEND) !== 0 && (writeFlags & C.FUSE_WRITE_CACHE) === 0;
    const written = file.write(appends ? file.size : offset, io);
    if (written > 0) node.touch(true);
    if ((writeFlags & C.FUSE_WRITE_KILL_SUIDGID) !== 0) killSuidgid(node);
    return written;
  }

  flush(_op: Operation, _nodeid: number, fh: number): number {
    return this.nodes.handle(fh) === undefined ? -EBADF : 0;
  }

  release(_op: Operation, _nodeid: number, fh: number): number {
    return this.nodes.close(fh) ? 0 : -EBADF;
  }

  fsync(op: Operation, nodeid: number, fh: number): number {
    return this.flush(op, nodeid, fh);
  }

  fallocate(_op: Operation, _nodeid: number, fh: number, offset: number, len: number, mode: number): number {
    const file = this.#file(fh);
    if (typeof file === 'number') return file;
    if (this.names.writable === null) return -EROFS;
    this.nodes.handle(fh)!.known.node.touch(true);
    return file.fallocate(offset, len, mode);
  }

  lseek(op: Operation, _nodeid: number, fh: number, offset: number, whence: number): number {
    const file = this.#file(fh);
    return typeof file === 'number' ? file : seekInData(op, file.size, offset, whence);
  }

  #file(fh: number): MemfdFile | number {
    const handle = this.nodes.handle(fh);
    if (handle === undefined || handle.known.node.type !== S_IFREG) return -EBADF;
    return this.tree.content(handle.known.node);
  }
}
