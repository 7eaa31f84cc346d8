/** Open files and directories of the memory file system. */
import { O_RDONLY, O_WRONLY } from '@oriel/sys';
import type { MemoryNode } from './memory-node.ts';

/** A directory as it was when opened: its cookies stay valid. "." and ".." come first. */
export interface MemoryListing {
  readonly names: readonly Uint8Array[];
  readonly nodes: readonly MemoryNode[];
}

interface Handle {
  readonly node: MemoryNode;
  /** O_RDONLY, O_WRONLY or O_RDWR. */
  readonly access: number;
  listing: MemoryListing | undefined;
}

/** Handles by number, from 1 on. */
export class MemoryHandles {
  readonly #handles = new Map<number, Handle>();
  #next = 1;

  get size(): number {
    return this.#handles.size;
  }

  open(node: MemoryNode, access: number): number {
    node.opens++;
    this.#handles.set(this.#next, { node, access, listing: undefined });
    return this.#next++;
  }

  node(fh: number): MemoryNode | undefined {
    return this.#handles.get(fh)?.node;
  }

  readable(fh: number): MemoryNode | undefined {
    const handle = this.#handles.get(fh);
    return handle === undefined || handle.access === O_WRONLY ? undefined : handle.node;
  }

  writable(fh: number): MemoryNode | undefined {
    const handle = this.#handles.get(fh);
    return handle === undefined || handle.access === O_RDONLY ? undefined : handle.node;
  }

  /** The directory's listing, made at the first call. */
  listing(fh: number): MemoryListing | undefined {
    const handle = this.#handles.get(fh);
    if (handle === undefined || handle.node.children === null) {
      return undefined;
    }
    handle.listing ??= list(handle.node);
    return handle.listing;
  }

  /** @returns the node that was open */
  close(fh: number): MemoryNode | undefined {
    const node = this.#handles.get(fh)?.node;
    if (node !== undefined) {
      node.opens--;
      this.#handles.delete(fh);
    }
    return node;
  }

  clear(): void {
    this.#handles.clear();
    this.#next = 1;
  }
}

function list(node: MemoryNode): MemoryListing {
  const children = [...node.children!];
  return {
    names: [...['.', '..'], ...children.map(([key]) => key)].map((key) => Buffer.from(key, 'latin1')),
    nodes: [node, node.parent, ...children.map(([, child]) => child)],
  };
}
