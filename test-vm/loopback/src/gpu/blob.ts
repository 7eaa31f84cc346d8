/** A blob as the guest holds it: host memory in the window, or guest pages, or both. */
import { VIRTIO_GPU_RESP_OK_MAP_INFO } from '@oriel/gpu-blob';
import { encodeResourceMapBlob, encodeResourceUnmapBlob, encodeResourceUnref } from '@oriel/gpu-blob/testing';
import type { RangeAllocator } from '@oriel/shm-region';
import { check } from '@oriel/sys';
import { LoopbackError } from '../errors.ts';
import type { GpuChannel } from './channel.ts';
import type { GuestPages } from './guest-pages.ts';

/** A blob resource. What it does waits for the answer and throws LoopbackError ERR_LOOPBACK_REFUSED with the `status`. */
export class GpuBlob {
  readonly resourceId: number;
  /** Bytes. */
  readonly size: number;
  /** Guest pages, or null. */
  readonly pages: GuestPages | null;
  readonly #control: GpuChannel;
  readonly #offsets: RangeAllocator;
  #offset = -1;
  /** How the host wants it cached: VIRTIO_GPU_MAP_CACHE_*; -1 while it is not mapped. */
  mapInfo = -1;

  constructor(
    control: GpuChannel,
    offsets: RangeAllocator,
    resourceId: number,
    size: number,
    pages: GuestPages | null = null,
  ) {
    this.#control = control;
    this.#offsets = offsets;
    this.resourceId = resourceId;
    this.size = size;
    this.pages = pages;
  }

  /** Where in the window it lies, bytes; -1: it is not mapped. */
  get offset(): number {
    return this.#offset;
  }

  /** Maps it where the window has room. @throws LoopbackError ERR_LOOPBACK_RANGE when it has none */
  map(): void {
    const offset = this.#offsets.allocate(this.size);
    if (offset < 0) {
      const hole = this.#offsets.largestHole;
      throw new LoopbackError('ERR_LOOPBACK_RANGE', `no room for ${this.size} bytes, the largest hole has ${hole}`);
    }
    try {
      const reply = this.#control.must(encodeResourceMapBlob({ resourceId: this.resourceId, offset }));
      if (reply.type !== VIRTIO_GPU_RESP_OK_MAP_INFO) {
        throw new LoopbackError('ERR_LOOPBACK_REPLY', `response ${reply.type} to RESOURCE_MAP_BLOB`);
      }
      this.mapInfo = reply.mapInfo;
    } catch (error) {
      this.#offsets.release(offset, this.size);
      throw error;
    }
    this.#offset = offset;
  }

  unmap(): void {
    this.#control.must(encodeResourceUnmapBlob(this.resourceId));
    this.#leave();
  }

  /** Ends the resource; the device unmaps it where it is mapped. Guest pages are given back. */
  unref(): void {
    this.#control.must(encodeResourceUnref(this.resourceId));
    if (this.#offset >= 0) this.#leave();
    this.pages?.release();
  }

  /** Reads `len` bytes through the window. @throws SysError EFAULT where the guest would not see them */
  read(offset: number, len: number): Uint8Array {
    const bytes = new Uint8Array(len);
    check(this.#control.vm.window.read(this.#at(offset, len), bytes), 'window read');
    return bytes;
  }

  /** Writes through the window; as `read`. */
  write(offset: number, bytes: Uint8Array): void {
    check(this.#control.vm.window.write(this.#at(offset, bytes.length), bytes), 'window write');
  }

  /** The device was told elsewhere: this one is gone, and `next`, of the same size, is mapped in its place. */
  handOver(next: GpuBlob): void {
    next.#offset = this.#offset;
    this.#offset = -1;
    this.mapInfo = -1;
  }

  #at(offset: number, len: number): number {
    if (this.#offset >= 0 && offset >= 0 && offset + len <= this.size) return this.#offset + offset;
    const where = this.#offset < 0 ? 'that is not mapped' : `of ${this.size} bytes`;
    throw new LoopbackError('ERR_LOOPBACK_RANGE', `${len} bytes at ${offset} of a blob ${where}`);
  }

  #leave(): void {
    this.#offsets.release(this.#offset, this.size);
    this.#offset = -1;
    this.mapInfo = -1;
  }
}
