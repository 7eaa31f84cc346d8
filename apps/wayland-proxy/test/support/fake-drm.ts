/** A virtio-gpu device file for tests: objects in memfds, commands written down, events through a pipe. */
import { EINVAL, ENOSPC, Fd, MFD_CLOEXEC, openSys, type Sys } from '@oriel/sys';
import { CrossDomainImageRequirements } from '../../src/channel/protocol.ts';
import {
  DRM_IOCTL_GEM_CLOSE,
  DRM_IOCTL_VIRTGPU_CONTEXT_INIT,
  DRM_IOCTL_VIRTGPU_EXECBUFFER,
  DRM_IOCTL_VIRTGPU_GET_CAPS,
  DRM_IOCTL_VIRTGPU_MAP,
  DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB,
  DRM_IOCTL_VIRTGPU_WAIT,
  DrmVirtgpuContextInit,
  DrmVirtgpuContextSetParam,
  DrmVirtgpuExecbuffer,
  DrmVirtgpuGetCaps,
  DrmVirtgpuMap,
  DrmVirtgpuResourceCreateBlob,
  VIRTGPU_EVENT_FENCE_SIGNALED,
  VIRTGPU_EXECBUF_FENCE_FD_OUT,
} from '../../src/drm/layouts.ts';

const ARGUMENT_LEN = 64;
const MAP_SHIFT = 2 ** 20;
const CMD_IMAGE = 2;

export interface SeenCommand {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly ring: number;
  readonly handles: number;
}

export interface SeenBlob {
  readonly mem: number;
  readonly flags: number;
  readonly size: number;
  readonly blobId: number;
  readonly memory: Fd;
}

export class FakeDrm implements Disposable {
  readonly sys: Pick<Sys, 'drm' | 'fd' | 'mem'>;
  /** What to open as the device. */
  readonly path: string;
  readonly commands: SeenCommand[] = [];
  readonly params: [number, number][] = [];
  /** Objects that are not closed, by handle; the resource id is the handle + 100. */
  readonly blobs = new Map<number, SeenBlob>();
  /** The capset's words. */
  capset = [1, 2, 0, 0];
  /** How many more objects are refused for lack of room. */
  full = 0;
  /** What GET_IMAGE_REQUIREMENTS says of a size; 0: nothing. */
  imageSize = (len: number) => len;
  readonly #real = openSys();
  readonly #ends: readonly [Fd, Fd];
  readonly #fences: number[] = [];
  #nextHandle = 1;
  #nextBlobId = 2;

  constructor() {
    const real = this.#real;
    const ends = new Int32Array(2);
    real.fd.pipe(ends);
    this.#ends = [new Fd(real.fd, ends[0]!), new Fd(real.fd, ends[1]!)];
    this.path = `/proc/self/fd/${ends[0]}`;
    const mmap: Sys['mem']['mmap'] = (addr, len, prot, flags, fd, offset) =>
      real.mem.mmap(addr, len, prot, flags, offset < MAP_SHIFT ? fd : this.#memory(offset / MAP_SHIFT), 0);
    const ioctl: Sys['drm']['ioctl'] = (_fd, request, argument) => this.#ioctl(request, argument as number);
    this.sys = { fd: real.fd, mem: { ...real.mem, mmap }, drm: { ioctl } };
  }

  /** Puts a message into an object and reaches the fence of a POLL. @param handle - of the ring */
  message(handle: number, bytes: Uint8Array): void {
    this.#real.fd.pwrite(this.#memory(handle), bytes, bytes.length, 0);
    const event = new Uint32Array([VIRTGPU_EVENT_FENCE_SIGNALED, 8]);
    this.#real.fd.write(this.#ends[1].fd, event, 8);
  }

  /** The host has taken what the oldest fence was asked for. */
  reachFence(): void {
    this.#real.loop.eventfdSignal(this.#fences.shift()!);
  }

  [Symbol.dispose](): void {
    for (const { memory } of this.blobs.values()) memory.close();
    for (const end of this.#ends) end.close();
  }

  #memory(handle: number): number {
    return this.blobs.get(handle)!.memory.fd;
  }

  #ioctl(request: number, argument: number): number {
    const view = new DataView(this.#real.mem.view(argument, ARGUMENT_LEN));
    switch (request) {
      case DRM_IOCTL_VIRTGPU_CONTEXT_INIT:
        return this.#initContext(view);
      case DRM_IOCTL_VIRTGPU_GET_CAPS:
        new Uint32Array(this.#real.mem.view(DrmVirtgpuGetCaps.addr.get(view, 0), 16)).set(this.capset);
        return DrmVirtgpuGetCaps.capSetId.get(view, 0) === 5 ? 0 : -EINVAL;
      case DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB:
        return this.#createBlob(view);
      case DRM_IOCTL_VIRTGPU_MAP:
        DrmVirtgpuMap.offset.set(view, 0, DrmVirtgpuMap.handle.get(view, 0) * MAP_SHIFT);
        return 0;
      case DRM_IOCTL_VIRTGPU_EXECBUFFER:
        return this.#submit(view);
      case DRM_IOCTL_VIRTGPU_WAIT:
        return 0;
      case DRM_IOCTL_GEM_CLOSE:
        this.blobs.get(view.getUint32(0, true))!.memory.close();
        this.blobs.delete(view.getUint32(0, true));
        return 0;
      default:
        return -EINVAL;
    }
  }

  #initContext(view: DataView): number {
    const count = DrmVirtgpuContextInit.numParams.get(view, 0);
    const list = this.#real.mem.view(DrmVirtgpuContextInit.ctxSetParams.get(view, 0), count * 16);
    for (let at = 0; at < count * 16; at += 16) {
      const params = new DataView(list);
      this.params.push([
        DrmVirtgpuContextSetParam.param.get(params, at),
        DrmVirtgpuContextSetParam.value.get(params, at),
      ]);
    }
    return 0;
  }

  #createBlob(view: DataView): number {
    if (this.full > 0) {
      this.full--;
      return -ENOSPC;
    }
    const handle = this.#nextHandle++;
    const size = DrmVirtgpuResourceCreateBlob.size.get(view, 0);
    const memory = new Fd(this.#real.fd, this.#real.mem.memfdCreate('fake-drm', MFD_CLOEXEC));
    this.#real.file.ftruncate(memory.fd, size);
    this.blobs.set(handle, {
      mem: DrmVirtgpuResourceCreateBlob.blobMem.get(view, 0),
      flags: DrmVirtgpuResourceCreateBlob.blobFlags.get(view, 0),
      blobId: DrmVirtgpuResourceCreateBlob.blobId.get(view, 0),
      size,
      memory,
    });
    DrmVirtgpuResourceCreateBlob.boHandle.set(view, 0, handle);
    DrmVirtgpuResourceCreateBlob.resHandle.set(view, 0, handle + 100);
    return 0;
  }

  #submit(view: DataView): number {
    const len = DrmVirtgpuExecbuffer.size.get(view, 0);
    const bytes = new Uint8Array(this.#real.mem.view(DrmVirtgpuExecbuffer.command.get(view, 0), len)).slice();
    const flags = DrmVirtgpuExecbuffer.flags.get(view, 0);
    const ring = DrmVirtgpuExecbuffer.ringIdx.get(view, 0);
    this.commands.push({ bytes, flags, ring, handles: DrmVirtgpuExecbuffer.numBoHandles.get(view, 0) });
    if (bytes[0] === CMD_IMAGE) this.#answerImage(new DataView(bytes.buffer).getUint32(8, true));
    if ((flags & VIRTGPU_EXECBUF_FENCE_FD_OUT) !== 0) {
      const fence = this.#real.loop.eventfd(0);
      this.#fences.push(fence);
      DrmVirtgpuExecbuffer.fenceFd.set(view, 0, fence);
    }
    return 0;
  }

  /** Into the first object, which is the query ring. */
  #answerImage(len: number): void {
    const size = this.imageSize(len);
    if (size === 0) return;
    const answer = new DataView(new ArrayBuffer(CrossDomainImageRequirements.byteLength));
    CrossDomainImageRequirements.size.set(answer, 0, size);
    CrossDomainImageRequirements.blobId.set(answer, 0, this.#nextBlobId++);
    this.#real.fd.pwrite(this.#memory(1), answer, answer.byteLength, 0);
  }
}
