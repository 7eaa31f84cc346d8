/**
 * The guest's side of the share: which inode stands for which node of the model, lookups and open files. Every request goes
 * through `FuseClient`; what comes back is held against the model.
 */

import { FUSE_ROOT_ID } from '@oriel/fuse';
import { type ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { O_RDWR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, SysError } from '@oriel/sys';
import type { FileInfo, FuseClient } from '@oriel/test-vm-loopback';
import { must, same } from '../errors.ts';
import type { ModelFile, ModelNode, ModelTree, Place } from './model-tree.ts';

const TYPES: Readonly<Record<ModelNode['kind'], number>> = { file: S_IFREG, directory: S_IFDIR, link: S_IFLNK };

/** An inode that the guest knows. */
export interface GuestInode {
  readonly nodeid: number;
  lookups: number;
  /** Open file handles. */
  readonly handles: number[];
  /** The back-end marked it for DAX when the guest came to know it. */
  readonly dax: boolean;
  /** The guest changed its content or size since it knows it. */
  changed: boolean;
}

/** What a request came to: 0, or an errno. */
export interface Outcome {
  readonly error: number;
  readonly reply: ReplyDecoder | null;
}

/** Inodes by node, for one session. */
export class GuestFiles {
  readonly encoder = new RequestEncoder();
  readonly client: FuseClient;
  readonly #tree: ModelTree;
  readonly #inodes = new Map<ModelNode, GuestInode>();

  constructor(client: FuseClient, tree: ModelTree) {
    this.client = client;
    this.#tree = tree;
    // Its uniques differ from those of the client's own encoder.
    this.encoder.uniqueHi = 1;
    this.sessionEnded();
  }

  /** The session is new: only the root is known. */
  sessionEnded(): void {
    this.#inodes.clear();
    this.#inodes.set(this.#tree.root, newInode(FUSE_ROOT_ID, false));
  }

  /** The inode of a node, if the guest knows it. */
  known(node: ModelNode): GuestInode | undefined {
    return this.#inodes.get(node);
  }

  /** Files that the guest knows, with a name or without. */
  knownFiles(): ModelFile[] {
    return [...this.#inodes.keys()].filter((node) => node.kind === 'file');
  }

  /** The inode of a node in the tree, looked up at need, its directories too. */
  inode(node: ModelNode): GuestInode {
    const known = this.#inodes.get(node);
    if (known !== undefined) return known;
    const place = this.#placeOf(node);
    this.lookup(place);
    return this.#inodes.get(node)!;
  }

  /** Sends what the encoder holds and waits. */
  call(name: string, data: readonly Uint8Array[] = []): Outcome {
    try {
      return { error: 0, reply: this.client.finish(this.client.send(name, this.encoder, data)) };
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return { error: error.errno, reply: null };
    }
  }

  /** As `call`, and holds the outcome against the model's. @returns the reply of a request that should succeed */
  expect(name: string, wanted: number, data: readonly Uint8Array[] = []): ReplyDecoder | null {
    const { error, reply } = this.call(name, data);
    same(`errno of ${name}`, error, wanted);
    return reply;
  }

  /** LOOKUP, for a name that is there or not. */
  lookup(place: Place): void {
    const node = this.#tree.at(place);
    this.encoder.lookup(this.inode(place.directory).nodeid, place.name);
    const reply = this.expect('LOOKUP', node === undefined ? 2 : 0);
    if (reply !== null) this.learn(node!, reply);
  }

  /** A reply told of the inode of a node. */
  learn(node: ModelNode, reply: ReplyDecoder): void {
    const { nodeid, attr } = reply.readEntry();
    const { size, mode, flags, nlink } = attr;
    this.learnEntry(node, { nodeid, size, mode, dax: (flags & 2) !== 0, mtime: 0 }, nlink);
  }

  /** One lookup more of a node, with what was said of it. */
  learnEntry(node: ModelNode, info: FileInfo, nlink: number): void {
    const known = this.#inodes.get(node);
    if (known === undefined) this.#inodes.set(node, newInode(info.nodeid, info.dax));
    else same('nodeid', info.nodeid, known.nodeid);
    this.#inodes.get(node)!.lookups++;
    checkAttributes(node, info.size, info.mode, nlink);
  }

  /** GETATTR, against the model. */
  getattr(node: ModelNode): void {
    this.encoder.getattr(this.inode(node).nodeid);
    const { size, mode, nlink } = this.expect('GETATTR', 0)!.readAttributes();
    checkAttributes(node, size, mode, nlink);
  }

  /** An open handle of a file, opened at need. */
  handle(file: ModelFile): number {
    const inode = this.inode(file);
    if (inode.handles.length === 0) this.open(file);
    return inode.handles[0]!;
  }

  open(file: ModelFile): void {
    const inode = this.inode(file);
    this.encoder.open(inode.nodeid, O_RDWR);
    inode.handles.push(this.expect('OPEN', 0)!.fh);
  }

  /** FLUSH and RELEASE of one handle, if there is one. */
  close(file: ModelFile): void {
    const inode = this.known(file);
    const fh = inode?.handles.pop();
    if (inode === undefined || fh === undefined) return;
    this.encoder.flush(inode.nodeid, fh);
    this.expect('FLUSH', 0);
    this.encoder.release(inode.nodeid, fh);
    this.expect('RELEASE', 0);
  }

  fsync(file: ModelFile): void {
    this.encoder.fsync(this.inode(file).nodeid, this.handle(file));
    this.expect('FSYNC', 0);
  }

  /** FORGET of all lookups; its handles are closed before, and its mappings are gone. */
  forget(node: ModelNode): void {
    const inode = this.known(node);
    if (inode === undefined || node === this.#tree.root) return;
    must(inode.handles.length === 0, 'an inode with open handles is not forgotten');
    this.client.forget(inode.nodeid, inode.lookups);
    this.#inodes.delete(node);
  }

  #placeOf(node: ModelNode): Place {
    for (const directory of this.#tree.directories()) {
      for (const [name, one] of directory.entries) if (one === node) return { directory, name };
    }
    throw new RangeError('a node without a name that the guest does not know');
  }
}

function newInode(nodeid: number, dax: boolean): GuestInode {
  return { nodeid, lookups: 0, handles: [], dax, changed: false };
}

function checkAttributes(node: ModelNode, size: number, mode: number, nlink: number): void {
  same('type', mode & S_IFMT, TYPES[node.kind]);
  if (node.kind === 'file') same('size', size, node.bytes.size);
  if (node.kind === 'link') same('size of a link', size, Buffer.byteLength(node.target));
  if (node.kind !== 'directory') same('nlink', nlink, node.links);
}
