/** Which nodes the driver knows, by which number, and what it has open. */
import { FUSE_ROOT_ID } from '../constants.ts';
import type { TreeNode } from './tree-node.ts';

/** A node that the driver knows or has open. */
export interface KnownNode<N> {
  readonly node: N;
  readonly nodeid: number;
  lookups: number;
  opens: number;
}

/** What is behind a handle. A listing is made when its first record is asked for. */
export interface TreeHandle<N> {
  readonly known: KnownNode<N>;
  listing: readonly (readonly [name: string, node: N])[];
}

export class KnownNodes<N extends TreeNode> {
  readonly #forgotten: (node: N) => void;
  /** A node's number stays the same while it lives; none is used twice. */
  readonly #ids = new WeakMap<N, number>();
  readonly #known = new Map<number, KnownNode<N>>();
  readonly #handles = new Map<number, TreeHandle<N>>();
  readonly #root: KnownNode<N>;
  #nextId = FUSE_ROOT_ID + 1;
  #nextHandle = 1;

  /** @param forgotten - told of each node of which nothing is kept any more */
  constructor(root: N, forgotten: (node: N) => void) {
    this.#forgotten = forgotten;
    this.#ids.set(root, FUSE_ROOT_ID);
    this.#root = { node: root, nodeid: FUSE_ROOT_ID, lookups: 0, opens: 0 };
    this.#known.set(FUSE_ROOT_ID, this.#root);
  }

  /** The node's number, for the driver and as its inode number. */
  id(node: N): number {
    let id = this.#ids.get(node);
    if (id === undefined) {
      id = this.#nextId++;
      this.#ids.set(node, id);
    }
    return id;
  }

  get(nodeid: number): N | undefined {
    return this.#known.get(nodeid)?.node;
  }

  handle(fh: number): TreeHandle<N> | undefined {
    return this.#handles.get(fh);
  }

  /** The driver gets to know the node, once more. @returns its number */
  count(node: N): number {
    const known = this.#know(node);
    known.lookups++;
    return known.nodeid;
  }

  forget(nodeid: number, count: number): void {
    const known = this.#known.get(nodeid);
    if (known === undefined) return;
    known.lookups = Math.max(0, known.lookups - count);
    this.#sweep(known);
  }

  /** @returns a handle */
  open(node: N): number {
    const known = this.#know(node);
    known.opens++;
    this.#handles.set(this.#nextHandle, { known, listing: [] });
    return this.#nextHandle++;
  }

  /** @returns whether there was such a handle */
  close(fh: number): boolean {
    const handle = this.#handles.get(fh);
    if (handle === undefined) return false;
    this.#handles.delete(fh);
    handle.known.opens--;
    this.#sweep(handle.known);
    return true;
  }

  /** A node lost a name. */
  lost(node: N): void {
    const known = this.#known.get(this.id(node));
    if (known === undefined) this.#forgotten(node);
    else this.#sweep(known);
  }

  /** The session ended: the driver knows nothing. */
  clear(): void {
    this.#handles.clear();
    for (const known of this.#known.values()) {
      known.lookups = 0;
      known.opens = 0;
      this.#sweep(known);
    }
  }

  #know(node: N): KnownNode<N> {
    const nodeid = this.id(node);
    let known = this.#known.get(nodeid);
    if (known === undefined) {
      known = { node, nodeid, lookups: 0, opens: 0 };
      this.#known.set(nodeid, known);
    }
    return known;
  }

  #sweep(known: KnownNode<N>): void {
    if (known.lookups > 0 || known.opens > 0 || known === this.#root) return;
    this.#known.delete(known.nodeid);
    this.#forgotten(known.node);
  }
}
