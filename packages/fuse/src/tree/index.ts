/** Trees of a user's own, served as a file system. */
export { MemfdFile } from './memfd-file.ts';
export type { Tree, WritableTree } from './tree.ts';
export { TreeFilesystem, type TreeFilesystemOptions } from './tree-filesystem.ts';
export { TreeNode } from './tree-node.ts';
