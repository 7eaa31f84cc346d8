/** A file system of a user's own tree in memory: nodeids, lookup counts, handles, listings and attributes are kept here. */
import { fromParts } from '@oriel/layout';
import {
  type Address,
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  EROFS,
  O_ACCMODE,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '@oriel/sys';
import * as C from '../constants.ts';
import type { DirSink } from '../dir-sink.ts';
import { Entry } from '../entry.ts';
import type { Filesystem } from '../filesystem.ts';
import type { MapInfo } from '../map-info.ts';
import type { Name } from '../name.ts';
import type { Operation } from '../operation.ts';
import type { SetAttr } from '../set-attr.ts';
import type { StatfsOut } from '../statfs.ts';
import { changeNode, fillAttributes, killSuidgid } from './node-attributes.ts';
import type { Tree, WritableTree } from './tree.ts';
import { TreeFiles } from './tree-files.ts';
import type { TreeNode } from './tree-node.ts';

const DOTS = 2;

export interface TreeFilesystemOptions {
  /** How long the guest may believe what it was told of names and attributes; default 1. It hears of changes only by asking. */
  readonly validSeconds?: number;
}

/**
 * Serves a {@link Tree}; one that is a {@link WritableTree} can be written. Regular files can be mapped into a DAX window: in a
 * tree that cannot be written too, where a hostile guest could store into its mapping, and so into what `content` gives.
 * Permissions are checked by the driver. The caller owns the tree and its content.
 */
export class TreeFilesystem<N extends TreeNode> extends TreeFiles<N> implements Filesystem {
  readonly mapsWholeRanges = true;
  readonly #entry = new Entry();
  readonly #validSeconds: number;

  constructor(tree: Tree<N> | WritableTree<N>, options: TreeFilesystemOptions = {}) {
    super(tree);
    this.#validSeconds = options.validSeconds ?? 1;
  }

  destroy(): void {
    this.nodes.clear();
  }

  lookup(op: Operation, parent: number, name: Name): number {
    const node = this.names.child(parent, name.key());
    return typeof node === 'number' ? node : this.#give(op.entry, node);
  }

  forget(nodeid: number, count: number): void {
    this.nodes.forget(nodeid, count);
  }

  getattr(op: Operation, nodeid: number): number {
    const node = this.nodes.get(nodeid);
    return node === undefined ? -ENOENT : this.#attributes(op.entry, node);
  }

  setattr(op: Operation, nodeid: number, change: SetAttr): number {
    const node = this.nodes.get(nodeid);
    if (node === undefined) return -ENOENT;
    if (this.names.writable === null) return -EROFS;
    if ((change.valid & C.FATTR_SIZE) !== 0) {
      const error = this.#resize(node, change.size);
      if (error < 0) return error;
    }
    changeNode(node, change);
    return this.#attributes(op.entry, node);
  }

  readlink(op: Operation, nodeid: number, to: Address, len: number): number {
    const node = this.nodes.get(nodeid);
    if (node === undefined || node.type !== S_IFLNK) return node === undefined ? -ENOENT : -EINVAL;
    const target = this.#target(node).subarray(0, len);
    op.bytes(to, len).set(target);
    return target.length;
  }

  symlink(op: Operation, parent: number, name: Name, target: Name): number {
    const node = this.names.make(op, parent, name.key(), { mode: S_IFLNK | 0o777, target: target.key() });
    return typeof node === 'number' ? node : this.#give(op.entry, node);
  }

  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number {
    const type = mode & S_IFMT || S_IFREG;
    if (type === S_IFDIR || type === S_IFLNK) return -EINVAL;
    const node = this.names.make(op, parent, name.key(), { mode: type | (mode & ~S_IFMT), rdev });
    return typeof node === 'number' ? node : this.#give(op.entry, node);
  }

  mkdir(op: Operation, parent: number, name: Name, mode: number): number {
    const node = this.names.make(op, parent, name.key(), { mode: S_IFDIR | (mode & ~S_IFMT) });
    return typeof node === 'number' ? node : this.#give(op.entry, node);
  }

  link(op: Operation, nodeid: number, newParent: number, newName: Name): number {
    const node = this.names.link(nodeid, newParent, newName.key());
    return typeof node === 'number' ? node : this.#give(op.entry, node);
  }

  unlink(_op: Operation, parent: number, name: Name): number {
    return this.names.remove(parent, name.key(), false);
  }

  rmdir(_op: Operation, parent: number, name: Name): number {
    return this.names.remove(parent, name.key(), true);
  }

  rename(_op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number {
    return this.names.rename(parent, name.key(), newParent, newName.key(), flags);
  }

  open(op: Operation, nodeid: number, flags: number, kills: boolean): number {
    const node = this.nodes.get(nodeid);
    if (node === undefined) return -ENOENT;
    return node.isDirectory ? -EISDIR : this.#open(op, node, flags, kills);
  }

  create(op: Operation, parent: number, name: Name, flags: number, mode: number, kills: boolean): number {
    let node = this.names.child(parent, name.key());
    if (typeof node !== 'number' && (flags & O_EXCL) !== 0) return -EEXIST;
    if (node === -ENOENT) node = this.names.make(op, parent, name.key(), { mode: S_IFREG | (mode & ~S_IFMT) });
    if (typeof node === 'number') return node;
    return node.isDirectory ? -EISDIR : this.#open(op, node, flags, kills) || this.#give(op.entry, node);
  }

  opendir(op: Operation, nodeid: number): number {
    const node = this.names.directory(nodeid);
    if (typeof node === 'number') return node;
    op.fh = this.nodes.open(node);
    return 0;
  }

  readdir(
    _op: Operation,
    _nodeid: number,
    fh: number,
    cookieLo: number,
    cookieHi: number,
    sink: DirSink,
    plus: boolean,
  ): number {
    const handle = this.nodes.handle(fh);
    if (handle === undefined || !handle.known.node.isDirectory) return -EBADF;
    const { node } = handle.known;
    let index = fromParts(cookieLo, cookieHi);
    // A directory that is rewound is to be read anew; otherwise its cookies stay valid while it changes.
    if (index === 0) handle.listing = [['.', node], ['..', node], ...this.tree.children(node)];
    for (; index < handle.listing.length; index++) {
      const [key, child] = handle.listing[index]!;
      const name = Buffer.from(key, 'latin1');
      if (sink.need(name.length) > sink.room) break;
      // The driver counts no lookup for "." and "..". What was removed meanwhile is named without attributes.
      const known = plus && index >= DOTS && this.tree.child(node, key) === child;
      if (known) this.#give(this.#entry, child);
      const id = this.nodes.id(child);
      sink.add(name, 0, name.length, id, 0, index + 1, 0, child.type >>> 12, known ? this.#entry : null);
    }
    return 0;
  }

  releasedir(op: Operation, nodeid: number, fh: number): number {
    return this.release(op, nodeid, fh);
  }

  fsyncdir(op: Operation, nodeid: number, fh: number): number {
    return this.flush(op, nodeid, fh);
  }

  /** A file system without a size. */
  statfs(_op: Operation, _nodeid: number, out: StatfsOut): number {
    out.blocks = out.bfree = out.bavail = out.files = out.ffree = 0;
    out.bsize = out.frsize = 4096;
    out.namelen = 255;
    return 0;
  }

  mapInfo(nodeid: number, out: MapInfo): number {
    const node = this.nodes.get(nodeid);
    if (node === undefined) return -ENOENT;
    out.mappable = node.type === S_IFREG;
    out.size = out.mappable ? this.tree.size(node) : 0;
    out.devLo = out.devHi = out.inoHi = 0;
    out.inoLo = nodeid;
    out.path = '';
    return 0;
  }

  openForMapping(nodeid: number): number {
    const node = this.nodes.get(nodeid);
    if (node === undefined) return -ENOENT;
    const file = this.tree.content(node);
    return typeof file === 'number' ? file : file.open();
  }

  #give(entry: Entry, node: N): number {
    entry.nodeid = this.nodes.count(node);
    entry.generation = 0;
    entry.entryValidSec = this.#validSeconds;
    entry.entryValidNs = 0;
    return this.#attributes(entry, node);
  }

  #attributes({ attr }: Entry, node: N): number {
    const { type } = node;
    const size = type === S_IFREG ? this.tree.size(node) : type === S_IFLNK ? this.#target(node).length : 0;
    fillAttributes(attr, node, this.nodes.id(node), size);
    attr.validSec = this.#validSeconds;
    attr.validNs = 0;
    return 0;
  }

  #target(link: N): Uint8Array {
    return Buffer.from(this.tree.target?.(link) ?? '', 'latin1');
  }

  #open(op: Operation, node: N, flags: number, kills: boolean): number {
    if (this.names.writable === null && ((flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0)) return -EROFS;
    if ((flags & O_TRUNC) !== 0) {
      const error = this.#resize(node, 0);
      if (error < 0) return error;
      node.touch(true);
      if (kills) killSuidgid(node);
    }
    op.fh = this.nodes.open(node);
    op.openFlags = C.FOPEN_KEEP_CACHE;
    return 0;
  }

  #resize(node: N, size: number): number {
    if (node.type !== S_IFREG) return -EINVAL;
    const file = this.tree.content(node);
    return typeof file === 'number' ? file : file.resize(size);
  }
}
