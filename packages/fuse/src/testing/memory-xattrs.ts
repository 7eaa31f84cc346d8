/** Extended attributes of an inode of the memory file system. */
import { type Address, EEXIST, ENODATA, ENOSPC, ERANGE, XATTR_CREATE, XATTR_REPLACE, XATTR_SIZE_MAX } from '@oriel/sys';
import type { Name } from '../name.ts';
import type { Operation } from '../operation.ts';

/** By name; methods answer as those of a `Filesystem`. */
export class MemoryXattrs {
  readonly #values = new Map<string, Uint8Array>();

  get(op: Operation, name: Name, to: Address, size: number): number {
    const value = this.#values.get(name.key());
    return value === undefined ? -ENODATA : give(op, value, to, size);
  }

  set(op: Operation, name: Name, value: Address, size: number, flags: number): number {
    const key = name.key();
    const exists = this.#values.has(key);
    if (exists && (flags & XATTR_CREATE) !== 0) return -EEXIST;
    if (!exists && (flags & XATTR_REPLACE) !== 0) return -ENODATA;
    if (size > XATTR_SIZE_MAX) return -ENOSPC;
    this.#values.set(key, op.bytes(value, size).slice());
    return 0;
  }

  list(op: Operation, to: Address, size: number): number {
    const names = [...this.#values.keys()].map((key) => `${key}\0`);
    return give(op, Buffer.from(names.join(''), 'latin1'), to, size);
  }

  remove(name: Name): number {
    return this.#values.delete(name.key()) ? 0 : -ENODATA;
  }
}

/** The bytes, or their number. */
function give(op: Operation, value: Uint8Array, to: Address, size: number): number {
  if (size > 0) {
    if (value.length > size) return -ERANGE;
    op.bytes(to, size).set(value);
  }
  return value.length;
}
