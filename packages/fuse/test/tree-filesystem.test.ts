import {
  EEXIST,
  EFBIG,
  EINVAL,
  EIO,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EROFS,
  openSys,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { MemfdFile, type Tree, TreeFilesystem, TreeNode, type WritableTree } from '../src/index.ts';
import { TestClient } from '../src/testing/index.ts';

const sys = openSys();
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const ROOT = 1;

class Node extends TreeNode {
  readonly children = new Map<string, Node>();
  content: MemfdFile | null = null;
  target = '';
}

class Files implements WritableTree<Node> {
  readonly root = new Node(S_IFDIR | 0o755);
  readonly gone: Node[] = [];

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
  make(mode: number, target: string): Node {
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
    this.gone.push(node);
    if (node.nlink === 0) node.content?.[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    const left = [this.root];
    for (let node = left.pop(); node !== undefined; node = left.pop()) {
      node.content?.[Symbol.dispose]();
      left.push(...node.children.values());
    }
  }
}

/** The same files, without what changes them. */
function readOnly(files: Files): Tree<Node> {
  return {
    root: files.root,
    child: (directory, name) => files.child(directory, name),
    children: (directory) => files.children(directory),
    size: (file) => files.size(file),
    content: (file) => ((file.mode & 0o777) === 0 ? -EIO : files.content(file)),
  };
}

function open(tree: Tree<Node>): TestClient {
  const client = new TestClient({ sys, fs: new TreeFilesystem(tree) });
  client.init();
  return client;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('TreeFilesystem', () => {
  let files: Files;
  let client: TestClient;
  let leaks: ReturnType<typeof leakCheck>;

  beforeEach(() => {
    leaks = leakCheck();
    files = new Files();
    client = open(files);
  });

  afterEach(() => {
    client[Symbol.dispose]();
    files[Symbol.dispose]();
    leaks.check();
  });

  const create = (name: string, parent = ROOT): { nodeid: number; fh: number } => {
    const reply = client.call(client.request.create(parent, name, O_RDWR, 0o100644));
    return { nodeid: reply.readEntry().nodeid, fh: reply.fh };
  };
  const mkdir = (name: string, parent = ROOT): number =>
    client.call(client.request.mkdir(parent, name, 0o755)).readEntry().nodeid;
  const lookup = (name: string, parent = ROOT): number => client.call(client.request.lookup(parent, name)).error;
  const write = (nodeid: number, fh: number, offset: number, data: string): number =>
    client.call(client.request.write(nodeid, fh, offset, data.length), Buffer.from(data)).error;
  const read = (nodeid: number, fh: number, offset = 0, len = 4096): string =>
    text(client.call(client.request.read(nodeid, fh, offset, len)).data);

  it('reads what was written, with zeros where nothing was', () => {
    const { nodeid, fh } = create('file');
    expect(write(nodeid, fh, 5, 'hello')).to.equal(0);
    expect(read(nodeid, fh)).to.equal('\0\0\0\0\0hello');
    expect(read(nodeid, fh, 8, 1)).to.equal('l');
    expect(read(nodeid, fh, 10)).to.equal('');
    expect(client.call(client.request.getattr(nodeid)).readAttributes().size).to.equal(10);
  });

  it('cuts a file at open with O_TRUNC', () => {
    const { nodeid, fh } = create('file');
    write(nodeid, fh, 0, 'content');
    expect(client.call(client.request.open(nodeid, O_RDWR | O_TRUNC)).error).to.equal(0);
    expect(read(nodeid, fh)).to.equal('');
  });

  it('keeps a file without a name while it is open, then tells that it is forgotten', () => {
    const { nodeid, fh } = create('file');
    write(nodeid, fh, 0, 'still there');
    expect(client.call(client.request.unlink(ROOT, 'file')).error).to.equal(0);
    expect(read(nodeid, fh)).to.equal('still there');
    client.call(client.request.release(nodeid, fh));
    expect(files.gone).to.have.length(0);
    client.send(client.request.forget(nodeid, 1));
    expect(files.gone.map(({ nlink }) => nlink)).to.deep.equal([0]);
    expect(client.call(client.request.getattr(nodeid)).error).to.equal(ENOENT);
  });

  it('gives a node its number again, and counts each lookup', () => {
    const { nodeid, fh } = create('file');
    client.call(client.request.release(nodeid, fh));
    expect(client.call(client.request.lookup(ROOT, 'file')).readEntry().nodeid).to.equal(nodeid);
    client.send(client.request.forget(nodeid, 1));
    expect(files.gone).to.have.length(0);
    client.send(client.request.forget(nodeid, 1));
    expect(files.gone).to.have.length(1);
    expect(client.call(client.request.lookup(ROOT, 'file')).readEntry().nodeid).to.equal(nodeid);
  });

  it('lists a directory, and what changed when it is rewound', () => {
    for (const name of ['a', 'b']) create(name);
    create('é');
    const { fh } = client.call(client.request.opendir(ROOT));
    const names = (offset = 0): string[] =>
      client
        .call(client.request.readdir(ROOT, fh, offset, 0, 4096))
        .readRecords()
        .map(({ name }) => name);
    expect(names()).to.deep.equal(['.', '..', 'a', 'b', 'é']);
    client.call(client.request.unlink(ROOT, 'b'));
    expect(names(3)).to.deep.equal(['b', 'é']);
    expect(names()).to.deep.equal(['.', '..', 'a', 'é']);
  });

  it('has names that are not UTF-8', () => {
    const name = Uint8Array.of(0x63, 0xff, 0xfe);
    const { nodeid } = client.call(client.request.create(ROOT, name, O_RDWR, 0o100644)).readEntry();
    expect(client.call(client.request.lookup(ROOT, name)).readEntry().nodeid).to.equal(nodeid);
    expect([...files.root.children.keys()]).to.deep.equal(['c\xff\xfe']);
  });

  it('counts a lookup for each record with an entry, and none for what is gone', () => {
    const { nodeid } = create('a');
    create('b');
    const { fh } = client.call(client.request.opendir(ROOT));
    client.call(client.request.readdir(ROOT, fh, 0, 0, 4096));
    client.call(client.request.unlink(ROOT, 'b'));
    const records = client.call(client.request.readdirplus(ROOT, fh, 2, 0, 4096)).readRecords();
    expect(records.map(({ name, entry }) => [name, entry?.nodeid ?? 0])).to.deep.equal([
      ['a', nodeid],
      ['b', 0],
    ]);
  });

  it('moves files and directories over others, and no directory into itself', () => {
    const [outer, other] = [mkdir('outer'), mkdir('other')];
    const inner = mkdir('inner', outer);
    create('file', inner);
    const rename = (from: number, name: string, to: number, newName: string): number =>
      client.call(client.request.rename(from, name, to, newName)).error;
    expect(rename(ROOT, 'outer', inner, 'x')).to.equal(EINVAL);
    expect(rename(ROOT, 'outer', outer, 'x')).to.equal(EINVAL);
    expect(rename(ROOT, 'missing', ROOT, 'x')).to.equal(ENOENT);
    expect(rename(ROOT, 'other', outer, 'inner')).to.equal(ENOTEMPTY);
    expect(rename(inner, 'file', ROOT, 'other')).to.equal(EISDIR);
    expect(rename(outer, 'inner', ROOT, 'other')).to.equal(0);
    expect(lookup('inner', outer)).to.equal(ENOENT);
    expect(lookup('file', inner)).to.equal(0);
    expect(client.call(client.request.getattr(outer)).readAttributes().nlink).to.equal(2);
    expect(client.call(client.request.getattr(other)).readAttributes().nlink).to.equal(0);
    expect(client.call(client.request.getattr(inner)).readAttributes().nlink).to.equal(2);
    expect(client.call(client.request.getattr(ROOT)).readAttributes().nlink).to.equal(4);
  });

  it('links, and removes by kind', () => {
    const { nodeid } = create('file');
    const folder = mkdir('folder');
    expect(client.call(client.request.link(nodeid, folder, 'again')).readEntry().attr.nlink).to.equal(2);
    expect(client.call(client.request.link(nodeid, folder, 'again')).error).to.equal(EEXIST);
    expect(client.call(client.request.link(folder, ROOT, 'x')).error).to.equal(EISDIR);
    expect(client.call(client.request.rmdir(ROOT, 'file')).error).to.equal(ENOTDIR);
    expect(client.call(client.request.unlink(ROOT, 'folder')).error).to.equal(EISDIR);
    expect(client.call(client.request.rmdir(ROOT, 'folder')).error).to.equal(ENOTEMPTY);
    expect(client.call(client.request.unlink(folder, 'again')).error).to.equal(0);
    expect(client.call(client.request.rmdir(ROOT, 'folder')).error).to.equal(0);
    expect(client.call(client.request.getattr(nodeid)).readAttributes().nlink).to.equal(1);
  });

  it('keeps the target of a link, byte by byte', () => {
    const { nodeid, attr } = client.call(client.request.symlink(ROOT, 'link', '../a/b')).readEntry();
    expect(attr.mode).to.equal(S_IFLNK | 0o777);
    expect(attr.size).to.equal(6);
    expect(text(client.call(client.request.readlink(nodeid)).data)).to.equal('../a/b');
  });

  it('drops what the driver has open when the session ends', () => {
    const { nodeid } = create('file');
    client.call(client.request.unlink(ROOT, 'file'));
    client.call(client.request.destroy());
    expect(files.gone).to.have.length(1);
    client.init();
    expect(client.call(client.request.getattr(nodeid)).error).to.equal(ENOENT);
  });

  it('refuses every change of a tree that can only be read', () => {
    files.enter(files.root, 'file', files.make(S_IFREG | 0o444, ''));
    files.enter(files.root, 'broken', files.make(S_IFREG, ''));
    using reader = open(readOnly(files));
    const call = (build: (request: typeof reader.request) => typeof reader.request, data?: Uint8Array) =>
      reader.call(build(reader.request), data);
    const { nodeid } = call((r) => r.lookup(ROOT, 'file')).readEntry();
    expect(call((r) => r.open(nodeid, O_RDWR)).error).to.equal(EROFS);
    const { fh } = call((r) => r.open(nodeid, 0));
    expect(call((r) => r.write(nodeid, fh, 0, 1), Buffer.from('x')).error).to.equal(EROFS);
    expect(call((r) => r.create(ROOT, 'new', O_RDWR, 0o100644)).error).to.equal(EROFS);
    expect(call((r) => r.mkdir(ROOT, 'new', 0o755)).error).to.equal(EROFS);
    expect(call((r) => r.unlink(ROOT, 'file')).error).to.equal(EROFS);
    expect(call((r) => r.rename(ROOT, 'file', ROOT, 'new')).error).to.equal(EROFS);
    expect(call((r) => r.setattr(nodeid, { size: 0 })).error).to.equal(EROFS);
    const broken = call((r) => r.lookup(ROOT, 'broken')).readEntry().nodeid;
    const handle = call((r) => r.open(broken, 0)).fh;
    expect(call((r) => r.read(broken, handle, 0, 1)).error).to.equal(EIO);
  });

  it('takes no more than a file may hold', () => {
    const { nodeid } = create('file');
    expect(client.call(client.request.setattr(nodeid, { size: 2 ** 40 })).error).to.equal(EFBIG);
    expect(client.call(client.request.setattr(nodeid, { size: 2 ** 30 })).error).to.equal(0);
  });
});
