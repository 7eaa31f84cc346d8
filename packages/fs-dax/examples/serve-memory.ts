/** Serves files that live in this process's memory, writable, to one QEMU. Argument: the socket. */
import { FsDevice } from '@oriel/fs-dax';
import { MemfdFile, TreeFilesystem, TreeNode, type WritableTree } from '@oriel/fuse';
import { BlockingLoop, ENOSPC, openOffload, openSys, S_IFDIR, S_IFREG } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

const sys = openSys();
const MOST_FILES = 10_000;

/** A file, a directory or a link: each has what its kind needs. */
class Node extends TreeNode {
  readonly children = new Map<string, Node>();
  content: MemfdFile | null = null;
  target = '';
}

class MemoryTree implements WritableTree<Node> {
  readonly root = new Node(S_IFDIR | 0o755);
  #files = 0;

  child(directory: Node, name: string): Node | undefined {
    return directory.children.get(name);
  }
  children(directory: Node): Iterable<[string, Node]> {
    return directory.children;
  }
  size(file: Node): number {
    return file.content!.size;
  }
  content(file: Node): MemfdFile {
    return file.content!;
  }
  target(link: Node): string {
    return link.target;
  }
  make(mode: number, target: string): Node | number {
    if (this.#files >= MOST_FILES) return -ENOSPC;
    this.#files++;
    const node = new Node(mode);
    node.target = target;
    if (node.type === S_IFREG) node.content = new MemfdFile(sys);
    return node;
  }
  enter(directory: Node, name: string, node: Node): void {
    directory.children.set(name, node);
  }
  leave(directory: Node, name: string): void {
    directory.children.delete(name);
  }
  forgotten(node: Node): void {
    if (node.nlink > 0) return;
    this.#files--;
    node.content?.[Symbol.dispose]();
  }
}

const [socketPath = '/tmp/oriel-memory.sock'] = process.argv.slice(2);
const tree = new MemoryTree();
const hello = tree.make(S_IFREG | 0o644, '') as Node;
hello.content = new MemfdFile(sys, Buffer.from('hello from the host\n'));
tree.enter(tree.root, 'hello.txt', hello);

using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop);
const fs = new TreeFilesystem(tree);
using device = new FsDevice({ sys, fs, tag: 'memory', windowSize: 64 << 20, dax: { minSize: 1 } });
using _server = serve(device, {
  sys,
  loop,
  offload,
  socketPath,
  profile: profileFor('qemu', sys.mem.pageSize),
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
