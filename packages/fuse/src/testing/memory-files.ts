/** What is asked of the open files of the file system in memory. */
import { EBADF, O_APPEND } from '@oriel/sys';
import * as C from '../constants.ts';
import type { IoVector } from '../io-vector.ts';
import type { Operation } from '../operation.ts';
import { killSuidgid } from '../tree/node-attributes.ts';
import { seekInData } from '../tree/seek.ts';
import { MemoryHandles } from './memory-handles.ts';
import { MemoryTree } from './memory-tree.ts';

/** Methods as `Filesystem` has them. */
export class MemoryFiles {
  protected readonly tree = new MemoryTree();
  protected readonly handles = new MemoryHandles();

  read(_op: Operation, _nodeid: number, fh: number, offset: number, io: IoVector): number {
    const node = this.handles.readable(fh);
    if (node === undefined) return -EBADF;
    const len = Math.min(io.len, Math.max(0, node.size - offset));
    return len === 0 ? 0 : io.write(0, node.data, offset, len);
  }

  write(
    _op: Operation,
    _nodeid: number,
    fh: number,
    offset: number,
    io: IoVector,
    openFlags: number,
    writeFlags: number,
  ): number {
    const node = this.handles.writable(fh);
    if (node === undefined) return -EBADF;
    // Nothing written changes nothing, behind the end, too.
    if (io.len === 0) return 0;
    const append = (openFlags & O_APPEND) !== 0 && (writeFlags & C.FUSE_WRITE_CACHE) === 0;
    const at = append ? node.size : offset;
    const error = node.growTo(at + io.len);
    if (error < 0) return error;
    if ((writeFlags & C.FUSE_WRITE_KILL_SUIDGID) !== 0) killSuidgid(node);
    node.touch(true);
    return io.read(0, node.data, at, io.len);
  }

  flush(_op: Operation, _nodeid: number, fh: number): number {
    return this.handles.node(fh) === undefined ? -EBADF : 0;
  }

  release(_op: Operation, _nodeid: number, fh: number): number {
    const node = this.handles.close(fh);
    if (node === undefined) return -EBADF;
    this.tree.sweep(node);
    return 0;
  }

  fsync(op: Operation, nodeid: number, fh: number): number {
    return this.flush(op, nodeid, fh);
  }

  fallocate(_op: Operation, _nodeid: number, fh: number, offset: number, len: number, mode: number): number {
    const node = this.handles.writable(fh);
    if (node === undefined) return -EBADF;
    return node.fallocate(offset, len, mode);
  }

  lseek(op: Operation, _nodeid: number, fh: number, offset: number, whence: number): number {
    const node = this.handles.node(fh);
    return node === undefined ? -EBADF : seekInData(op, node.size, offset, whence);
  }

  copyFileRange(
    _op: Operation,
    _nodeidIn: number,
    fhIn: number,
    offIn: number,
    _nodeidOut: number,
    fhOut: number,
    offOut: number,
    len: number,
  ): number {
    const from = this.handles.readable(fhIn);
    const to = this.handles.writable(fhOut);
    return from === undefined || to === undefined ? -EBADF : to.copyFrom(from, offIn, offOut, len);
  }
}
