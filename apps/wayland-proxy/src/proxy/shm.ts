/**
 * wl_shm: the client's pools stay in the guest. Each buffer gets host memory of its own, and so on the host a pool of its own;
 * what of it changed is copied there before the compositor hears of it.
 */
import type { Fd } from '@oriel/sys';
import type { HostMemory } from '../channel/host-channel.ts';
import { ProxyError } from '../errors.ts';
import type { FileSys } from '../files/client-file.ts';
import { readFile, writeFile } from '../files/content.ts';

/** wl_shm.error */
export const WL_SHM_ERROR_INVALID_STRIDE = 1;
export const WL_SHM_ERROR_INVALID_FD = 2;

/** A wl_shm object: the host's must live as long as a pool needs it to make others. */
export class Shm {
  pools = 0;
  /** The client released it while it had pools: passed on when the last is gone. */
  heldRelease: Uint8Array | undefined;
}

/** A pool's file, which buffers need after the pool is gone. */
export class PoolFile {
  readonly fd: Fd;
  #users = 1;

  constructor(fd: Fd) {
    this.fd = fd;
  }

  use(): this {
    this.#users++;
    return this;
  }

  leave(): void {
    if (--this.#users === 0) this.fd.close();
  }
}

/** A wl_shm_pool object. */
export class Pool {
  readonly file: PoolFile;
  /** The wl_shm that made it. */
  readonly shmId: number;
  readonly shm: Shm;
  size: number;
  /** How often the host's pool of this id was replaced: so many wl_display.delete_id are not for the client. */
  replaced = 0;
  #destroyed = false;

  constructor(file: PoolFile, shmId: number, shm: Shm, size: number) {
    this.file = file;
    this.shmId = shmId;
    this.shm = shm;
    this.size = size;
    shm.pools++;
  }

  /** The client destroyed it; its buffers stay. @returns false when it was destroyed before */
  destroy(): boolean {
    if (this.#destroyed) return false;
    this.#destroyed = true;
    this.shm.pools--;
    this.file.leave();
    return true;
  }
}

/** Where a buffer lies in its pool's file. */
export interface BufferPlace {
  readonly offset: number;
  readonly stride: number;
  readonly height: number;
  /** Bytes from `offset`. */
  readonly len: number;
  /** Rows follow each other, so that some can be copied without the others. */
  readonly hasRows: boolean;
}

const FIRST_FORMATS: ReadonlySet<number> = new Set([0, 1]);
/** drm_fourcc.h, those of one plane that clients draw in: XRGB and ARGB in all orders, 16-bit ones, wide ones. */
const PACKED_FORMATS: ReadonlySet<string> = new Set(
  'XR24 XB24 RX24 BX24 AR24 AB24 RA24 BA24 XR30 XB30 AR30 AB30 RG16 BG16 XR15 AR15 RG24 BG24 XR4H XB4H AR4H AB4H XR48 XB48 AR48 AB48'.split(
    ' ',
  ),
);
/** Planes of other formats take at most three times the bytes of the first. */
const MOST_PLANES = 3;

function isPacked(format: number): boolean {
  const name = String.fromCharCode(format & 0xff, (format >> 8) & 0xff, (format >> 16) & 0xff, format >>> 24);
  return FIRST_FORMATS.has(format) || PACKED_FORMATS.has(name);
}

/**
 * Where a new buffer lies.
 * @param format - wl_shm.format
 * @returns undefined for what no compositor takes: no size, or beyond the pool
 */
export function placeBuffer(
  poolSize: number,
  offset: number,
  width: number,
  height: number,
  stride: number,
  format: number,
): BufferPlace | undefined {
  if (offset < 0 || width <= 0 || height <= 0 || stride < width || stride * height > poolSize - offset)
    return undefined;
  const hasRows = isPacked(format);
  const len = hasRows ? stride * height : Math.min(MOST_PLANES * stride * height, poolSize - offset);
  return { offset, stride, height, len, hasRows };
}

/** A wl_buffer of a pool. */
export class PoolBuffer {
  readonly place: BufferPlace;
  readonly memory: HostMemory;
  readonly #sys: FileSys;
  readonly #file: PoolFile;
  readonly #id: number;
  #live = true;
  /** Whose content it showed when it was copied last (a surface), and by which of its commits. */
  copiedFor: unknown;
  copiedAt = 0;

  constructor(sys: FileSys, id: number, file: PoolFile, place: BufferPlace, memory: HostMemory) {
    this.#sys = sys;
    this.#id = id;
    this.#file = file.use();
    this.place = place;
    this.memory = memory;
  }

  /**
   * Copies rows to the host; all of it where it has none.
   * @param end - the row behind the last
   * @throws ProxyError ERR_PROXY_CLIENT where the client's file is too short
   */
  copyRows(first: number, end: number): void {
    const { offset, stride, height, len, hasRows } = this.place;
    const from = hasRows ? Math.max(0, first) * stride : 0;
    const to = hasRows ? Math.min(end, height) * stride : len;
    if (to <= from) return;
    const copied = readFile(this.#sys, this.#file.fd.fd, this.memory.addr + from, to - from, offset + from);
    if (copied !== to - from) throw this.#unreadable(copied);
  }

  copyAll(): void {
    this.copiedFor = undefined;
    this.copyRows(0, this.place.height);
  }

  /** False once the client destroyed it. */
  get isLive(): boolean {
    return this.#live;
  }

  /** Copies what the compositor wrote to the client's file. @throws ProxyError ERR_PROXY_CLIENT where it cannot be written */
  copyBack(): void {
    this.copiedFor = undefined;
    if (!this.#live) return;
    const { offset, len } = this.place;
    const copied = writeFile(this.#sys, this.#file.fd.fd, this.memory.addr, len, offset);
    if (copied !== len) throw this.#unreadable(copied);
  }

  /** The buffer is gone. Its memory is the caller's to give up, when no message names it any more. */
  release(): void {
    if (!this.#live) return;
    this.#live = false;
    this.#file.leave();
  }

  #unreadable(result: number): ProxyError {
    const detail = `buffer ${this.#id}: its pool's file gives ${result} bytes`;
    return new ProxyError('ERR_PROXY_CLIENT', detail, { objectId: this.#id, code: WL_SHM_ERROR_INVALID_FD });
  }
}
