/** A small complete file system in memory: a device for tests, and an example of a `Filesystem` without system calls. */
import { fromParts } from '@oriel/layout';
import {
  type Address,
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
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
import type { Name } from '../name.ts';
import type { Operation } from '../operation.ts';
import type { SetAttr } from '../set-attr.ts';
import type { StatfsOut } from '../statfs.ts';
import { changeNode, fillAttributes, killSuidgid } from '../tree/node-attributes.ts';
import { MemoryFiles } from './memory-files.ts';
import type { MemoryNode } from './memory-node.ts';

const VALID_SECONDS = 1;

/** Directories, files, links, special files, extended attributes; no permission checks: the driver makes them. */
export class MemoryFilesystem extends MemoryFiles implements Filesystem {
  readonly #entry = new Entry();

  /** Lookups held by the driver on `nodeid`; 0 when it is unknown. */
  lookups(nodeid: number): number {
    return this.tree.get(nodeid)?.lookups ?? 0;
  }

  /** Nodes alive, the root among them. */
  get nodeCount(): number {
    return this.tree.nodes.size;
  }

  /** Open handles. */
  get handleCount(): number {
    return this.handles.size;
  }

  /** Lookups and handles go; files stay. */
  destroy(): void {
    this.handles.clear();
    for (const node of [...this.tree.nodes.values()]) {
      node.lookups = 0;
      node.opens = 0;
      this.tree.sweep(node);
    }
  }

  lookup(op: Operation, parent: number, name: Name): number {
    return this.#answer(op, this.tree.child(parent, name.key()));
  }

  forget(nodeid: number, count: number): void {
    this.tree.forget(nodeid, count);
  }

  getattr(op: Operation, nodeid: number, fh: number): number {
    const node = fh >= 0 ? this.handles.node(fh) : this.tree.get(nodeid);
    if (node === undefined) return fh >= 0 ? -EBADF : -ENOENT;
    return this.#attributes(op, node);
  }

  setattr(op: Operation, nodeid: number, change: SetAttr): number {
    const node = this.tree.get(nodeid);
    if (node === undefined) return -ENOENT;
    if ((change.valid & C.FATTR_SIZE) !== 0) {
      const error = node.type === S_IFREG ? node.resize(change.size) : -EINVAL;
      if (error < 0) return error;
    }
    changeNode(node, change);
    return this.#attributes(op, node);
  }

  readlink(op: Operation, nodeid: number, to: Address, len: number): number {
    const node = this.tree.get(nodeid);
    if (node === undefined || node.type !== S_IFLNK) return node === undefined ? -ENOENT : -EINVAL;
    op.bytes(to, len).set(node.data);
    return node.size;
  }

  symlink(op: Operation, parent: number, name: Name, target: Name): number {
    const node = this.tree.makeAt(op, parent, name.key(), S_IFLNK | 0o777);
    if (typeof node !== 'number') {
      node.data = op.bytes(target.addr, target.len).slice();
      node.size = target.len;
    }
    return this.#answer(op, node);
  }

  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number {
    const type = mode & S_IFMT;
    if (type === S_IFDIR || type === S_IFLNK) return -EINVAL;
    const node = this.tree.makeAt(op, parent, name.key(), type === 0 ? mode | S_IFREG : mode);
    if (typeof node !== 'number') node.rdev = rdev;
    return this.#answer(op, node);
  }

  mkdir(op: Operation, parent: number, name: Name, mode: number): number {
    return this.#answer(op, this.tree.makeAt(op, parent, name.key(), S_IFDIR | mode));
  }

  link(op: Operation, nodeid: number, newParent: number, newName: Name): number {
    return this.#answer(op, this.tree.link(nodeid, newParent, newName.key()));
  }

  unlink(_op: Operation, parent: number, name: Name): number {
    return this.tree.remove(parent, name.key(), false);
  }

  rmdir(_op: Operation, parent: number, name: Name): number {
    return this.tree.remove(parent, name.key(), true);
  }

  rename(_op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number {
    return this.tree.rename(parent, name.key(), newParent, newName.key(), flags);
  }

  open(op: Operation, nodeid: number, flags: number, kills: boolean): number {
    const node = this.tree.get(nodeid);
    if (node === undefined) return -ENOENT;
    return node.children === null ? this.#open(op, node, flags, kills) : -EISDIR;
  }

  create(op: Operation, parent: number, name: Name, flags: number, mode: number, kills: boolean): number {
    const key = name.key();
    const existing = this.tree.child(parent, key);
    if (typeof existing !== 'number') {
      if ((flags & O_EXCL) !== 0) return -EEXIST;
      if (existing.children !== null) return -EISDIR;
    }
    const node = existing === -ENOENT ? this.tree.makeAt(op, parent, key, S_IFREG | (mode & ~S_IFMT)) : existing;
    return typeof node === 'number' ? node : this.#open(op, node, flags, kills) || this.#answer(op, node);
  }

  tmpfile(op: Operation, parent: number, flags: number, mode: number): number {
    const directory = this.tree.directory(parent);
    if (typeof directory === 'number') return directory;
    const node = this.tree.make(op, S_IFREG | (mode & ~S_IFMT));
    return this.#open(op, node, flags, false) || this.#answer(op, node);
  }

  opendir(op: Operation, nodeid: number): number {
    const node = this.tree.directory(nodeid);
    if (typeof node === 'number') return node;
    op.fh = this.handles.open(node, O_RDONLY);
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
    const listing = this.handles.listing(fh);
    if (listing === undefined) return -EBADF;
    const { names, nodes } = listing;
    for (let index = fromParts(cookieLo, cookieHi); index < names.length; index++) {
      const node = nodes[index]!;
      const name = names[index]!;
      // The driver counts no lookup for "." and "..", the first two.
      const entry = plus && index >= 2 ? this.#entry : null;
      if (sink.need(name.length) > sink.room) break;
      if (entry !== null) {
        this.tree.count(node, entry);
        this.#validity(entry);
      }
      sink.add(name, 0, name.length, node.nodeid, 0, index + 1, 0, node.type >>> 12, entry);
    }
    return 0;
  }

  releasedir(op: Operation, nodeid: number, fh: number): number {
    return this.release(op, nodeid, fh);
  }

  fsyncdir(op: Operation, nodeid: number, fh: number): number {
    return this.flush(op, nodeid, fh);
  }

  statfs(_op: Operation, _nodeid: number, out: StatfsOut): number {
    let used = 0;
    for (const node of this.tree.nodes.values()) {
      used += Math.ceil(node.size / 4096);
    }
    out.bsize = 4096;
    out.frsize = 4096;
    out.namelen = 255;
    out.blocks = 1 << 20;
    out.bfree = (1 << 20) - used;
    out.bavail = out.bfree;
    out.files = this.tree.nodes.size;
    out.ffree = 1 << 20;
    return 0;
  }

  syncfs(): number {
    return 0;
  }

  getxattr(op: Operation, nodeid: number, name: Name, to: Address, size: number): number {
    return this.tree.get(nodeid)?.xattrs.get(op, name, to, size) ?? -ENOENT;
  }

  setxattr(op: Operation, nodeid: number, name: Name, value: Address, size: number, flags: number): number {
    const node = this.tree.get(nodeid);
    if (node === undefined) return -ENOENT;
    const result = node.xattrs.set(op, name, value, size, flags);
    if (result === 0) node.touch(false);
    return result;
  }

  listxattr(op: Operation, nodeid: number, to: Address, size: number): number {
    return this.tree.get(nodeid)?.xattrs.list(op, to, size) ?? -ENOENT;
  }

  removexattr(_op: Operation, nodeid: number, name: Name): number {
    return this.tree.get(nodeid)?.xattrs.remove(name) ?? -ENOENT;
  }

  #answer(op: Operation, node: MemoryNode | number): number {
    if (typeof node === 'number') return node;
    this.tree.count(node, op.entry);
    this.#validity(op.entry);
    return 0;
  }

  #attributes(op: Operation, node: MemoryNode): number {
    fillAttributes(op.entry.attr, node, node.nodeid, node.size);
    this.#validity(op.entry);
    return 0;
  }

  #validity(entry: Entry): void {
    entry.entryValidSec = VALID_SECONDS;
    entry.entryValidNs = 0;
    entry.attr.validSec = VALID_SECONDS;
    entry.attr.validNs = 0;
  }

  #open(op: Operation, node: MemoryNode, flags: number, kills: boolean): number {
    if ((flags & O_TRUNC) !== 0) {
      node.resize(0);
      node.touch(true);
      if (kills) killSuidgid(node);
    }
    op.fh = this.handles.open(node, flags & O_ACCMODE);
    op.openFlags = C.FOPEN_KEEP_CACHE;
    return 0;
  }
}
