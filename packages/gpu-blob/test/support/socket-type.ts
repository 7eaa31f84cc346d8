/**
 * A context type that connects each guest program to a host socket, as cross-domain does: commands in SUBMIT_3D, answers in a
 * guest blob (the ring), each announced by a fence of ring 1 that stays open until something came.
 */
import { check, EPOLLIN, F_SEAL_SHRINK, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, type Sys, type Watch } from '@oriel/sys';
import {
  type BlobRequest,
  type Context,
  type ContextHost,
  type ContextType,
  type GpuStatus,
  type HostBlob,
  VIRTIO_GPU_MAP_CACHE_CACHED,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';

export const SOCKET_CAPSET_ID = 5;
/** Commands, three u32 each: what, and two numbers. */
export const INIT = 1;
export const ALLOCATE = 2;
export const SEND = 3;
/** Carries a fence of the channel ring, and does nothing else. */
export const POLL = 4;
/** Rings: what is done at once, and what came from the socket. */
export const QUERY_RING = 0;
export const CHANNEL_RING = 1;
/** What stands in the guest's ring: bytes of data, blob id of the descriptor that came (0: none), then the data. */
export const RING_HEAD = 8;

/** @param connect - the host's end of a new program's connection */
export function socketType(connect: () => Fd): ContextType {
  return {
    capsetId: SOCKET_CAPSET_ID,
    name: 'socket',
    maxVersion: 0,
    capset: new Uint8Array(16),
    create: (host) => new SocketContext(host, connect()),
  };
}

export class SocketContext implements Context {
  readonly #host: ContextHost;
  readonly #socket: Fd;
  readonly #files = new Map<number, Fd>();
  readonly #polls: (() => void)[] = [];
  #watch: Watch | null = null;
  #ringId = 0;
  #nextId = 2;

  constructor(host: ContextHost, socket: Fd) {
    this.#host = host;
    this.#socket = socket;
    this.resume();
  }

  submit(commands: Uint8Array, done: (status: GpuStatus) => void): void {
    if (commands.length !== 12) {
      done(VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
      return;
    }
    const [what, first = 0, second = 0] = new Uint32Array(commands.slice().buffer);
    if (what === SEND) {
      // The socket may have to wait for its peer: a later turn tells.
      this.#host.loop.defer(() => done(this.#send(first, second)));
      return;
    }
    if (what === INIT) done(this.#init(first));
    else if (what === ALLOCATE) done(this.#allocate(first));
    else done(what === POLL ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC);
  }

  fence(ring: number, done: () => void): void {
    if (ring !== CHANNEL_RING) {
      done();
      return;
    }
    this.#polls.push(done);
    this.#receive();
  }

  createBlob({ blobIdLo, size }: BlobRequest): HostBlob | GpuStatus {
    const file = this.#files.get(blobIdLo);
    if (file === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    this.#files.delete(blobIdLo);
    return {
      fd: file.fd,
      fdOffset: 0,
      size,
      mapInfo: VIRTIO_GPU_MAP_CACHE_CACHED,
      label: `file ${blobIdLo}`,
      [Symbol.dispose]: () => file.close(),
    };
  }

  suspend(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
  }

  resume(): void {
    this.#watch = this.#host.loop.watch(this.#socket.fd, EPOLLIN, () => this.#receive());
  }

  [Symbol.dispose](): void {
    this.suspend();
    this.#socket.close();
    for (const file of this.#files.values()) file.close();
  }

  #init(ringId: number): GpuStatus {
    const ring = this.#host.resource(ringId);
    if (ring === null || ring.backingSize < RING_HEAD) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    this.#ringId = ringId;
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** Memory for a picture, whose blob id the guest reads in its ring. */
  #allocate(size: number): GpuStatus {
    const { mem, file, fd } = this.#host.sys;
    const memory = new Fd(fd, check(mem.memfdCreate('picture', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    check(file.ftruncate(memory.fd, size), 'ftruncate');
    check(mem.addSeals(memory.fd, F_SEAL_SHRINK), 'fcntl');
    return this.#put(new Uint8Array(0), memory);
  }

  /** A byte, with the descriptor of a blob. */
  #send(byte: number, resourceId: number): GpuStatus {
    const fd = this.#host.resource(resourceId)?.fd ?? -1;
    if (fd < 0) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    const sent = this.#host.sys.socket.sendmsg(this.#socket.fd, Uint8Array.of(byte), 1, Int32Array.of(fd), 1);
    return sent === 1 ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
  }

  /** One message for one waiting fence; the rest stays in the socket. */
  #receive(): void {
    if (this.#watch === null || this.#polls.length === 0) return;
    const { sys } = this.#host;
    const data = new Uint8Array(64);
    const received = sys.socket.makeRecvResult(1);
    const length = sys.socket.recvmsg(this.#socket.fd, data, data.length, received);
    if (length <= 0) return;
    const file = received.fdCount > 0 ? new Fd(sys.fd, received.fds[0]!) : null;
    this.#put(data.subarray(0, length), file);
    this.#polls.shift()!();
  }

  #put(data: Uint8Array, file: Fd | null): GpuStatus {
    const id = file === null ? 0 : this.#nextId++;
    if (file !== null) this.#files.set(id, file);
    const message = new Uint8Array(RING_HEAD + data.length);
    new Uint32Array(message.buffer, 0, 2).set([data.length, id]);
    message.set(data, RING_HEAD);
    const result = this.#host.resource(this.#ringId)?.writeBacking(0, message, 0, message.length) ?? -1;
    return result === 0 ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
}

/** A descriptor of `size` bytes with `content` at its start, as a host program would pass it. */
export function makeFile(sys: Sys, content: Uint8Array, size: number): Fd {
  const made = new Fd(sys.fd, check(sys.mem.memfdCreate('oriel-test', MFD_CLOEXEC), 'memfd_create'));
  check(sys.file.ftruncate(made.fd, size), 'ftruncate');
  check(sys.fd.pwrite(made.fd, content, content.length, 0), 'pwrite');
  return made;
}
