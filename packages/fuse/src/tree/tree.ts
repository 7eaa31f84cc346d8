/** What a user gives to serve a tree of their own. */
import type { MemfdFile } from './memfd-file.ts';
import type { TreeNode } from './tree-node.ts';

/**
 * A tree of files that can be read. Names are byte strings: a character is a byte (`latin1`), so that each name of Linux can be
 * told. A method gives a negative errno where it fails. Nodes are compared as objects: give the same one for the same file.
 */
export interface Tree<N extends TreeNode> {
  readonly root: N;
  /** The file of a name. `directory` is one. */
  child(directory: N, name: string): N | undefined;
  /** All names of a directory. */
  children(directory: N): Iterable<readonly [name: string, node: N]>;
  /** Bytes of a regular file. */
  size(file: N): number;
  /** Content of a regular file: asked for by each read, write and mapping. */
  content(file: N): MemfdFile | number;
  /** Target of a symbolic link, as a byte string. */
  target?(link: N): string;
  /** Nobody has the file open, and the guest knows it no more. Content without a name can go; other content can be made again. */
  forgotten?(node: N): void;
}

/** A tree that can be changed too. */
export interface WritableTree<N extends TreeNode> extends Tree<N> {
  /** Makes a file without a name. @param target - of a symbolic link, else '' */
  make(mode: number, target: string): N | number;
  /** Gives a file a name, which is free. */
  enter(directory: N, name: string, node: N): void;
  /** Takes a name away. */
  leave(directory: N, name: string): void;
}
