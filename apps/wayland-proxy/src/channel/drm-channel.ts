/** The way to the host through the guest's GPU: a cross-domain context of one render node's file. */
import { ENOSPC, EPOLLIN, type EventLoop, errnoName, Fd, type Mapping, SysError, type Watch } from '@oriel/sys';
import {
  VIRTGPU_BLOB_MEM_GUEST,
  VIRTGPU_BLOB_MEM_HOST3D,
  VIRTGPU_CONTEXT_PARAM_CAPSET_ID,
  VIRTGPU_CONTEXT_PARAM_NUM_RINGS,
  VIRTGPU_CONTEXT_PARAM_POLL_RINGS_MASK,
} from '../drm/layouts.ts';
import { type Blob, type DrmSys, RenderNode, type SubmitOptions } from '../drm/render-node.ts';
import { ProxyError } from '../errors.ts';
import { CommandBuffer } from './commands.ts';
import type { ChannelHandler, HostChannel, HostMemory, Identifier } from './host-channel.ts';
import { memorySize } from './memory-size.ts';
import {
  CROSS_DOMAIN_CAPSET_ID,
  CROSS_DOMAIN_CHANNEL_RING,
  CROSS_DOMAIN_QUERY_RING,
  CrossDomainHeader,
  CrossDomainImageRequirements,
} from './protocol.ts';
import { dispatchMessage } from './received.ts';

const RINGS = 2;
/** The longer the channel ring, the more of a pipe comes at once. A host that wants no more than a page of it may use that. */
const CHANNEL_RING_LEN = 65536;
/** The host numbers the pipes that it makes for us from here. */
const FIRST_READ_PIPE = 0x8000_0001;
/** How often a full window is tried again, each time once the host has done what came before: it may be unmapping. */
const WINDOW_TRIES = 20;

export interface DrmChannelOptions {
  readonly sys: DrmSys;
  readonly loop: EventLoop;
  /** Path of the render node. */
  readonly renderNode: string;
}

/** An object with its mapping; whoever disposes it first: its owner, or the end of the channel. */
class BlobMemory implements HostMemory {
  readonly resourceId: number;
  readonly mapping: Mapping;
  readonly handle: number;
  readonly #node: RenderNode;
  readonly #live: Set<BlobMemory>;

  constructor(node: RenderNode, blob: Blob, mapping: Mapping, live: Set<BlobMemory>) {
    this.#node = node;
    this.handle = blob.handle;
    this.resourceId = blob.resourceId;
    this.mapping = mapping;
    this.#live = live;
    live.add(this);
  }

  get addr(): number {
    return this.mapping.addr;
  }

  get len(): number {
    return this.mapping.len;
  }

  [Symbol.dispose](): void {
    if (!this.#live.delete(this)) return;
    this.mapping[Symbol.dispose]();
    this.#node.closeHandle(this.handle);
  }
}

/** Called before the channel's file is closed. */
type Undo = () => void;

export class DrmChannel implements HostChannel {
  readonly #options: DrmChannelOptions;
  readonly #handler: ChannelHandler;
  readonly #node: RenderNode;
  readonly #command: CommandBuffer;
  readonly #live = new Set<BlobMemory>();
  readonly #fences = new Map<Fd, Watch>();
  readonly #templates = new Map<number, { readonly id: number; readonly size: number }>();
  readonly #undo: Undo[] = [];
  #query!: BlobMemory;
  #ring!: BlobMemory;
  #readPipe = FIRST_READ_PIPE;
  #polling = false;
  #closed = false;

  /** Connects. @throws ProxyError ERR_PROXY_DEVICE, ERR_PROXY_MEMORY; Node's error where the render node cannot be opened */
  constructor(options: DrmChannelOptions, handler: ChannelHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#node = RenderNode.open(options.sys, options.renderNode);
    this.#undo.push(() => this.#node[Symbol.dispose]());
    try {
      this.#command = new CommandBuffer(options.sys.mem);
      this.#undo.push(() => this.#command[Symbol.dispose]());
      this.#connect();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  send(data: Uint8Array, identifiers: readonly Identifier[], taken?: () => void): void {
    this.#submit(this.#command.send(data, identifiers), taken);
  }

  write(pipe: number, data: Uint8Array, hangUp: boolean, taken?: () => void): void {
    this.#submit(this.#command.write(pipe, data, hangUp), taken);
  }

  nextReadPipe(): number {
    return this.#readPipe++;
  }

  allocate(len: number): HostMemory {
    const wanted = memorySize(len, this.#options.sys.mem.pageSize);
    const { id, size } = this.#template(wanted);
    return this.#makeMemory(VIRTGPU_BLOB_MEM_HOST3D, size, id);
  }

  openFile(id: number, len: number): HostMemory {
    const { pageSize } = this.#options.sys.mem;
    return this.#makeMemory(VIRTGPU_BLOB_MEM_HOST3D, Math.ceil(Math.max(len, 1) / pageSize) * pageSize, id);
  }

  poll(): void {
    if (this.#polling || this.#closed) return;
    // A fence that is reached with nothing in the ring tells of a connection that is none.
    this.#ring.mapping.u8.fill(0, 0, CrossDomainHeader.byteLength);
    this.#check(this.#run(this.#command.poll(), { ring: CROSS_DOMAIN_CHANNEL_RING }), 'POLL');
    this.#polling = true;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const [fence, watch] of this.#fences) {
      watch[Symbol.dispose]();
      fence.close();
    }
    this.#fences.clear();
    for (const memory of [...this.#live]) memory[Symbol.dispose]();
    for (const undo of this.#undo.reverse()) undo();
  }

  #connect(): void {
    const { sys, loop } = this.#options;
    const error = this.#node.initContext([
      [VIRTGPU_CONTEXT_PARAM_CAPSET_ID, CROSS_DOMAIN_CAPSET_ID],
      [VIRTGPU_CONTEXT_PARAM_NUM_RINGS, RINGS],
      [VIRTGPU_CONTEXT_PARAM_POLL_RINGS_MASK, 1 << CROSS_DOMAIN_CHANNEL_RING],
    ]);
    this.#check(error, 'VIRTGPU_CONTEXT_INIT');
    this.#query = this.#makeMemory(VIRTGPU_BLOB_MEM_GUEST, sys.mem.pageSize, 0);
    this.#ring = this.#makeMemory(VIRTGPU_BLOB_MEM_GUEST, CHANNEL_RING_LEN, 0);
    const len = this.#command.init(this.#query.resourceId, this.#ring.resourceId);
    this.#check(this.#run(len, { ring: CROSS_DOMAIN_QUERY_RING }), 'INIT');
    const watch = loop.watch(this.#node.fd, EPOLLIN, () => this.#onEvent());
    this.#undo.push(() => watch[Symbol.dispose]());
  }

  #onEvent(): void {
    if (this.#node.takeEvents() === 0 || !this.#polling) return;
    this.#polling = false;
    dispatchMessage(this.#ring.mapping.u8, this.#handler);
  }

  #submit(len: number, taken: (() => void) | undefined): void {
    const fence = taken !== undefined;
    const result = this.#check(this.#run(len, { ring: CROSS_DOMAIN_QUERY_RING, fence }), 'a command');
    if (taken !== undefined) this.#awaitFence(new Fd(this.#options.sys.fd, result), taken);
  }

  #awaitFence(fence: Fd, reached: () => void): void {
    try {
      const watch = this.#options.loop.watch(fence.fd, EPOLLIN, () => {
        this.#fences.delete(fence);
        watch[Symbol.dispose]();
        fence.close();
        reached();
      });
      this.#fences.set(fence, watch);
    } catch (error) {
      fence.close();
      throw error;
    }
  }

  /** What the host says about memory of a size. */
  #template(wanted: number): { readonly id: number; readonly size: number } {
    const known = this.#templates.get(wanted);
    if (known !== undefined) return known;
    this.#askRequirements(wanted);
    const { mapping } = this.#query;
    const view = new DataView(mapping.u8.buffer, mapping.u8.byteOffset, CrossDomainImageRequirements.byteLength);
    const id = CrossDomainImageRequirements.blobId.get(view, 0);
    const size = CrossDomainImageRequirements.size.get(view, 0);
    if (id === 0 || size < wanted || size > 2 * wanted) {
      throw new ProxyError(
        'ERR_PROXY_MEMORY',
        `the host gives no memory of ${wanted} bytes (blob ${id}, ${size} bytes)`,
      );
    }
    const template = { id, size };
    this.#templates.set(wanted, template);
    return template;
  }

  /** Waits for the host, which answers without waiting for anybody. */
  #askRequirements(len: number): void {
    this.#query.mapping.u8.fill(0, 0, CrossDomainImageRequirements.byteLength);
    const { handle } = this.#query;
    const command = this.#command.imageRequirements(len);
    this.#check(this.#run(command, { ring: CROSS_DOMAIN_QUERY_RING, handle }), 'GET_IMAGE_REQUIREMENTS');
    this.#check(this.#node.wait(handle), 'VIRTGPU_WAIT');
  }

  #makeMemory(mem: number, len: number, blobId: number): BlobMemory {
    let blob = this.#node.createBlob(mem, len, blobId);
    for (let tries = 0; blob === -ENOSPC && tries < WINDOW_TRIES; tries++) {
      this.#askRequirements(len);
      blob = this.#node.createBlob(mem, len, blobId);
    }
    if (typeof blob === 'number') throw noMemory(len, -blob);
    try {
      const mapping = this.#node.map(blob.handle, len);
      if (typeof mapping === 'number') throw new SysError(-mapping, 'VIRTGPU_MAP');
      return new BlobMemory(this.#node, blob, mapping, this.#live);
    } catch (error) {
      this.#node.closeHandle(blob.handle);
      throw error instanceof SysError ? noMemory(len, error.errno, error) : error;
    }
  }

  #run(len: number, options: SubmitOptions): number {
    return this.#node.submit(this.#command.addr, len, options);
  }

  #check(result: number, what: string): number {
    if (result < 0) throw new ProxyError('ERR_PROXY_DEVICE', `${what}: ${errnoName(-result)}`);
    return result;
  }
}

function noMemory(len: number, errno: number, cause?: Error): ProxyError {
  const detail = `no host memory of ${len} bytes: ${errnoName(errno)}`;
  return new ProxyError('ERR_PROXY_MEMORY', detail, undefined, cause === undefined ? {} : { cause });
}
